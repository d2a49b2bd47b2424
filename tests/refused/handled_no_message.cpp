// handles<> lists what is no message: a struct becomes one by TROUPE_MESSAGE
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

struct Reset {};

struct Counter {
#ifdef WRONG
  using messages = troupe::handles<Read, Reset>;
#else
  using messages = troupe::handles<Read>;
#endif
  Total on(const Read&) { return Total(5); }
  void on(const Reset&) {}
};

troupe::started start(troupe::node& node) { return troupe::start_server<Counter>(node, {.name = "counter"}); }
