// what is sent must be a message: a struct with TROUPE_MESSAGE, a value or a message
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

struct Plain {
  std::string name;
};

troupe::task<> ask(troupe::process& self) {
#ifdef WRONG
  auto total = co_await troupe::call(self, "counter", Plain{"apples"});
#else
  auto total = co_await troupe::call(self, "counter", Read("apples"));
#endif
  self.log().info("asked", {{"answered", total.has_value()}});
}
