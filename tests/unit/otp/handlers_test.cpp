// What is not listed is seen, however many there are of it, in each form that a handler has; what is no message is not
// taken for one. Compiling this file is the test; what the compiler then says is in tests/refused.
#include <troupe/server.hpp>

namespace troupe::test::listed {
namespace {

struct Add {
  std::string name;
  TROUPE_MESSAGE(Add, "add", name)
};
struct Read {
  TROUPE_MESSAGE(Read, "read")
};
struct Later {
  TROUPE_MESSAGE(Later, "later")
};
struct Names {
  using reply = std::vector<std::string>;
  TROUPE_MESSAGE(Names, "names")
};

struct None {
  using messages = handles<>;
};
struct Whole {
  void on(const Add&);
  int on(process&, Read, message&);
  void on(int number);
  void on(const std::string& text, int number);
};
struct Two : Whole {
  using Whole::on;
  void on(const Names&);
  void on(Later);
};
struct WithRequest : Whole {
  using Whole::on;
  void on(process&, const Later&, message&);
};
struct Sealed final {
  void on(const Add&);
};
static_assert(detail::lists_all_handlers<None>());
static_assert(detail::lists_all_handlers<Whole, Add, Read>());
static_assert(!detail::lists_all_handlers<Whole>() && !detail::lists_all_handlers<Whole, Add>());
static_assert(!detail::lists_all_handlers<Two, Add, Read>() && !detail::lists_all_handlers<Two, Add, Read, Names>());
static_assert(detail::lists_all_handlers<Two, Add, Read, Names, Later>());
static_assert(!detail::lists_all_handlers<WithRequest, Add, Read>());
static_assert(detail::lists_all_handlers<Sealed>());  // nobody can derive from it: not looked into

// What each form of a handler sends is what is compared; one that may answer later may return nothing.
template <class R>
struct Returns {
  R on(const Names&);
};
template <class R>
struct AnswersLater {
  R on(process&, Names, message&);
};
using names = Names::reply;
template <class R>
inline constexpr bool right = detail::answers_as_named<Returns<R>, Names>();
template <class R>
inline constexpr bool right_later = detail::answers_as_named<AnswersLater<R>, Names>();
static_assert(right<names> && right<const names&> && right<result<names>> && right<task<names>>);
static_assert(right<task<result<names>>> && right<stopping<names>> && right<task<continuing<result<names>>>>);
static_assert(!right<void> && !right<task<>> && !right<value> && !right<std::string> && !right<task<result<void>>>);
static_assert(right_later<names> && right_later<void> && right_later<task<>> && !right_later<task<result<value>>>);

}  // namespace
}  // namespace troupe::test::listed
