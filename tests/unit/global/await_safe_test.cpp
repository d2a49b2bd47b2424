// What GCC 12 would destroy twice is refused by every function that is awaited: for each, that it takes the thing by
// its name and refuses it as a temporary. Compiling this file is the test.
#include <troupe/troupe.hpp>

#include <gtest/gtest.h>

namespace troupe {
namespace {

using namespace std::chrono_literals;

struct aggregate {
  std::string text;
};
struct plain {
  int number;
};
struct Ask {
  std::string text;
  TROUPE_MESSAGE(Ask, "ask", text)
};

// Lambdas that own, borrow, and own what has no destructor.
inline auto owns(std::string key) {
  return [key](auto&&...) { return key.empty(); };
}
inline auto borrows(const std::string& key) {
  return [&key](auto&&...) { return key.empty(); };
}
inline auto owns_number(int key) {
  return [key](auto&&...) { return key == 0; };
}
inline auto body(std::string key) {
  return [key](process&) -> task<int> { co_return static_cast<int>(key.size()); };
}
inline auto work(std::string key) {
  return [key] { return key; };
}
using owner = decltype(owns({}));
using borrower = decltype(borrows(std::declval<const std::string&>()));
using number_owner = decltype(owns_number(0));
using body_owner = decltype(body({}));
using work_owner = decltype(work({}));

static_assert(await_safe<aggregate&> && await_safe<const aggregate&> && !await_safe<aggregate>);
static_assert(await_safe<plain> && await_safe<std::string> && await_safe<value> && await_safe<Ask>);
static_assert(!await_safe<owner> && await_safe<owner&> && await_safe<borrower> && await_safe<number_owner>);
static_assert(await_safe<std::function<bool()>> && await_safe<std::move_only_function<bool()>> &&
              await_safe<std::unique_ptr<int>> && await_safe<std::vector<aggregate>> &&
              await_safe<std::optional<aggregate>> && await_safe<std::pair<std::string, int>>);

template <class T>
concept receivable = requires(process& self, T&& given) { self.receive_if(std::forward<T>(given), 1s); };
static_assert(receivable<owner&> && receivable<borrower> && receivable<number_owner> && !receivable<owner>);

template <class T>
concept may_block = requires(process& self, T&& given) { blocking(self, std::forward<T>(given)); };
static_assert(may_block<work_owner&> && may_block<std::move_only_function<int()>> && !may_block<work_owner>);

template <class T>
concept transacts = requires(process& self, lock::id what, T&& given) {
  lock::trans(self, std::move(what), std::forward<T>(given), 1s);
};
static_assert(transacts<body_owner&> && !transacts<body_owner>);

template <class T>
concept starts_task = requires(process& self, T&& given) { start_task(self, "tasks", std::forward<T>(given)); };
static_assert(starts_task<work_owner&> && !starts_task<work_owner>);

template <class T>
concept adds_child = requires(process& self, T&& given) { start_child(self, "top", std::forward<T>(given)); };
static_assert(adds_child<child_spec&> && adds_child<const child_spec&> && !adds_child<child_spec>);

template <class T>
concept called = requires(process& self, T&& given) { call<int>(self, "there", std::forward<T>(given)); };
static_assert(called<Ask> && called<Ask&>);

template <class T>
concept multi_called = requires(process& self, T&& given) {
  multi_call<int>(self, std::vector<std::string>(), "there", std::forward<T>(given));
};
static_assert(multi_called<Ask> && multi_called<Ask&>);

template <class T>
concept remotely_called =
    requires(process& self, T&& given) { rpc::call<int>(self, "n@h", "f", std::forward<T>(given)); };
template <class T>
concept spawned_there = requires(process& self, T&& given) { spawn_on(self, "n@h", "f", std::forward<T>(given)); };
template <class T>
concept begun = requires(process& self, T&& given) { async<int>(self, "tasks", "f", std::forward<T>(given)); };
static_assert(remotely_called<Ask> && spawned_there<Ask> && begun<Ask>);
static_assert(!remotely_called<owner> && !spawned_there<owner> && !begun<owner>);

struct Counter {
  using messages = handles<Ask>;
  explicit Counter(aggregate given) : start(std::move(given)) {}
  explicit Counter(owner given);
  bool on(const Ask&) { return true; }
  aggregate start;
};
template <class T>
concept starts_server = requires(process& self, T&& given) {
  start_link<Counter>(self, "counter", std::forward<T>(given));
  start_server<Counter>(self, "counter", std::forward<T>(given));
  start_link<Counter>(self, global::name("counter"), std::forward<T>(given));
  start_server<Counter>(self, global::name("counter"), std::forward<T>(given));
};
static_assert(starts_server<aggregate&> && starts_server<owner&>);
static_assert(!starts_server<aggregate> && !starts_server<owner>);
template <class T>
concept server_options_taken =
    requires(process& self, aggregate& start, T&& given) { start_link<Counter>(self, std::forward<T>(given), start); };
static_assert(server_options_taken<server_options&> && !server_options_taken<server_options>);

// What is awaited through an object that a lambda began: the object has a name.
template <class T>
concept awaited = requires(process& self, T&& given) { std::forward<T>(given).await(self); } &&
                  requires(process& self, T&& given) { std::forward<T>(given).yield(self); } &&
                  requires(process& self, T&& given) { std::forward<T>(given).shutdown(self); };
static_assert(awaited<async_task<int>&> && !awaited<async_task<int>>);
template <class T>
concept streamed = requires(process& self, T&& given) { std::forward<T>(given).next(self); };
static_assert(streamed<task_stream<int>&> && !streamed<task_stream<int>>);

// Taken by value, so they must be safe as they are.
static_assert(await_safe<dynamic_supervisor> && await_safe<supervisor> && await_safe<command> &&
              await_safe<global::register_options> && await_safe<lock::id> && await_safe<task_supervisor_options> &&
              await_safe<task_stream_options> && await_safe<address> && await_safe<exit_reason> && await_safe<error> &&
              await_safe<std::vector<std::string>>);

TEST(AwaitSafe, IsProvedByTheCompiler) { SUCCEED(); }

}  // namespace
}  // namespace troupe
