// A node as a program is: what `troupe::run` makes of an application that does nothing. tests/bench/run starts it,
// looks at it, and stops it.
#include <troupe/run.hpp>

int main(int argc, char** argv) {
  troupe::application app{.name = "life"};
  return troupe::run(argc, argv, std::move(app));
}
