// this server has a handler `on` for a message that its handles<> does not list
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

struct Reset {
  TROUPE_MESSAGE(Reset, "reset")
};

struct Counter {
#ifdef WRONG
  using messages = troupe::handles<Read>;
#else
  using messages = troupe::handles<Read, Reset>;
#endif
  Total on(const Read&) { return Total(5); }
  void on(troupe::process&, Reset) {}
};

troupe::result<troupe::pid> start(troupe::node& node) { return troupe::serve<Counter>(node); }
