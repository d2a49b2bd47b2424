// The lowest part alone: a dynamic value, printed.
#include <cstdio>

#include <troupe/value.hpp>

int main() {
  const auto basket = troupe::map_of({{"apples", 5}, {"names", troupe::list_of({"cox", "boskoop"})}});
  std::puts(basket.print().c_str());
  return basket.integer_at("apples") == 5 ? 0 : 1;
}
