// this message names another reply: call without a type, or with that one
#include <troupe/troupe.hpp>

struct Total {
  std::int64_t total = 0;
  TROUPE_MESSAGE(Total, "total", total)
};
struct Read {
  std::string name;
  using reply = Total;
  TROUPE_MESSAGE(Read, "read", name)
};

troupe::task<> ask(troupe::process& self) {
#ifdef WRONG
  auto total = co_await troupe::call<std::int64_t>(self, "counter", Read("apples"));
#else
  auto total = co_await troupe::call<Total>(self, "counter", Read("apples"));
#endif
  self.log().info("asked", {{"answered", total.has_value()}});
}
