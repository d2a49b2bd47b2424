// handles<> lists a message that no handler `on` of this server takes
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
#ifndef WRONG
  Total on(const Read&) { return Total(5); }
#endif
};

troupe::supervisor tree() { return troupe::supervise("counters").server<Counter>("counter"); }
