// a struct has at most 256 fields: put some of them into a struct of their own
#include <troupe/troupe.hpp>

#define TEN(x) x##0, x##1, x##2, x##3, x##4, x##5, x##6, x##7, x##8, x##9
#define FIFTY(x) TEN(x##0), TEN(x##1), TEN(x##2), TEN(x##3), TEN(x##4)
#define FIELDS FIFTY(a), FIFTY(b), FIFTY(c), FIFTY(d), FIFTY(e), e50, e51, e52, e53, e54, e55
#ifdef WRONG
#define ALL FIELDS, one_more
#else
#define ALL FIELDS
#endif

struct Wide {
  std::int64_t ALL;
  TROUPE_MESSAGE(Wide, "wide", ALL)
};
