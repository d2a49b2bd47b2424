// a handler returns something else than the reply that its message names
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

struct Counter {
  using messages = troupe::handles<Read>;
#ifdef WRONG
  std::int64_t on(const Read&) { return 5; }
#else
  Total on(const Read&) { return Total(5); }
#endif
};

troupe::task<> start(troupe::process& self) {
  auto counter = co_await troupe::start_link<Counter>(self, "counter");
  self.log().info("started", {{"pid", counter.process()}});
}
