// A node in a program of its own: one process that answers, one call from the main thread.
#include <chrono>
#include <cstdio>
#include <string>

#include <troupe/node.hpp>
#include <troupe/spawn.hpp>

using namespace std::chrono_literals;

namespace {

struct Greet {
  std::string name;
  TROUPE_MESSAGE(Greet, "greet", name)
};

troupe::task<> greeter(troupe::process& self) {
  for (;;) {
    auto request = co_await self.receive(1h);
    if (!request) continue;
    if (const auto* greet = request->get<Greet>()) self.reply(*request, "hello, " + greet->name);
  }
}

}  // namespace

int main() {
  auto node = troupe::node::start({.distribution = false});
  if (!node) {
    std::fprintf(stderr, "no node: %s\n", node.error().text().c_str());
    return 1;
  }
  auto server = troupe::spawn(**node, greeter);
  auto here = (*node)->make_handle();
  if (!server || !here) return 1;
  auto answer = (*here)->call<std::string>(*server, Greet{"world"}, 10s);
  if (!answer) {
    std::fprintf(stderr, "no answer: %s\n", answer.error().text().c_str());
    return 1;
  }
  std::puts(answer->c_str());
  here->reset();
  return (*node)->stop() ? 0 : 1;
}
