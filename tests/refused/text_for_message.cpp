// could not convert
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

Read from_text(std::string name) {
#ifdef WRONG
  return name;
#else
  return Read(std::move(name));
#endif
}
