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

void tell(troupe::process& self, troupe::pid whom) {
#ifdef WRONG
  self.send(whom, "apples");
#else
  self.send(whom, Read("apples"));
#endif
}
