#pragma once
// One Lua state and the process that runs it.
//
// Design notes
// * Lua code runs in a Lua thread that `run` resumes. Whoever must wait inside a Lua call hands an `operation` to
//   `await`, which yields; `run` awaits the operation as a coroutine of the process and resumes Lua with the answer.
//   The hook yields the same way after `slice` instructions, so a loop gives up its worker.
// * A yield goes to whoever resumed: a coroutine of Lua's own would swallow ours. `coroutine.resume` and `wrap` are
//   therefore written anew (coroutines.cpp): a yield with `yielding != none` is passed on to the next outer thread.
// * Where Lua cannot yield (inside table.sort, a metamethod called by C) a wait is an error, "cannot wait here", and
//   the hook counts `blocked` instructions up to a bound. A send that should wait for a slow node goes on, as one of
//   C++ does that never waits: the node's bound for a sender (`sender_bytes`) ends it.
// * No instruction is counted inside of C. What is done there for Lua is charged as so many instructions: by the
//   functions that go through much (`charge`), by the allocator for large blocks, by the matcher of patterns, which
//   also looks at the world while it runs (`check_long_call`). Then the hook comes at the next instruction.
// * While a hook's error is raised hooks are off, and stay so in a message handler of lua_pcall's: there is none here,
//   xpcall runs its handler after the error, as a call (base_library.cpp). They are off in finalizers too, so Lua code
//   can give none.
// * Stopping (Ctrl-C, the time limit) never resumes the thread again: no pcall can catch it. A wait is cut short by
//   `core::expire_wait`.
// * lua5.4-c++ raises errors by throwing its own type, and its pcall swallows every other exception. So a C++ exception
//   must not leave a C function of ours, and Lua's must not be caught by one: every function is entered through
//   `guarded`, which catches std::exception alone. Values with destructors are safe across Lua errors for the same
//   reason.
// * Everything that may raise runs inside `protect` or the resumed thread; outside there is only lua_resume and pushes
//   that do not allocate.
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include <troupe/script.hpp>

#include "runtime/core.hpp"

#include <lua.hpp>

namespace troupe::internal {

// Shared by a machine and whoever may stop what it runs, on any thread.
struct stop_request {
  enum reason : int { none, interrupted };
  std::atomic<int> why{none};
};

using operation = std::function<task<result<value>>(process&)>;

// What a machine has printed and does not know to be written (output.cpp).
struct output_credit {
  pid device;
  std::size_t unconfirmed = 0;  // bytes
  time_point confirmed{};       // when all was
};

// How one run of Lua code ended.
struct run_outcome {
  error failure;  // code none: the returned values are on the thread's stack
  int results = 0;
};

// Owner: the session, evaluation or spawned process that made it. Thread: that of the process that runs it; another
// process may take it over when that one has ended.
class lua_machine final : private detail::set_aside {
 public:
  static constexpr int slice = 10'000;                       // instructions between two looks at the world
  static constexpr std::int64_t blocked_limit = 20'000'000;  // instructions where Lua cannot yield
  static constexpr std::size_t large_block = 4096;           // an allocation that is charged
  static constexpr std::size_t charged_bytes = 32;           // so many are moved in the time of an instruction

  // errc::too_large when the limit does not even hold the library.
  [[nodiscard]] static result<std::unique_ptr<lua_machine>> make(process& self, const script::limits& budget);
  ~lua_machine();
  lua_machine(const lua_machine&) = delete;
  lua_machine& operator=(const lua_machine&) = delete;

  [[nodiscard]] static lua_machine& of(lua_State* L) noexcept {
    return **static_cast<lua_machine**>(lua_getextraspace(L));
  }
  [[nodiscard]] process& self() const noexcept { return *self_; }
  [[nodiscard]] lua_State* state() const noexcept { return state_; }
  [[nodiscard]] const std::shared_ptr<stop_request>& stopper() const noexcept { return stop_; }
  [[nodiscard]] const script::limits& budget() const noexcept { return budget_; }

  // A new thread for one run, kept until the next one; the last run's is given up. Inside `protect`.
  lua_State* fresh_thread(lua_State* L);
  // Runs what lies on `thread`: a function and its arguments. `self` is who runs the machine from now on.
  [[nodiscard]] task<run_outcome> run(process& self, lua_State* thread, int arguments);
  void attach(process& self) noexcept;  // for what runs outside of `run`: printing, completion
  void forget_waits() noexcept;         // the process that ran this machine has ended

  // -- for functions called by Lua
  // Suspends the calling Lua code; `form` is what it gets (see answer_form).
  int await(lua_State* L, operation op, lua_KFunction then, lua_KContext context);
  // The last act of a function that has sent: `results` are on the stack. A process that a slow node holds waits here.
  int sent(lua_State* L, int results);
  // Ends the process at once, as soon as no C++ is between here and `run`.
  [[noreturn]] void await_exit(lua_State* L, exit_reason reason);
  // Work that was done in C++ for Lua, in instructions; `L` is who asked for it.
  void charge(lua_State* L, std::size_t work) noexcept;
  // The same in the middle of it: raises when it has to stop.
  void check_long_call(lua_State* L, std::size_t work);
  [[nodiscard]] result<value> take_answer() {
    return std::exchange(answer_, result<value>(errc::cancelled, "the wait was given up"));
  }
  [[nodiscard]] bool can_wait(lua_State* L) const noexcept { return lua_isyieldable(L) && no_wait_ == 0; }
  [[nodiscard]] bool yielding() const noexcept { return yielding_ != yield_kind::none; }
  [[nodiscard]] bool is_outermost(lua_State* L) const noexcept { return L == thread_; }
  [[nodiscard]] duration clamp(duration wanted) const;  // no wait outlives the evaluation's own time
  int no_wait_ = 0;                                     // resumes under way from where Lua cannot yield
  lua_State* running_ = nullptr;                        // whose instructions are counted now
  output_credit output_;
  // Received while looking for another; oldest first, each with a number of its own. They still wait: the process's
  // counts of its messages hold them.
  using kept_messages = std::map<std::uint64_t, message>;
  [[nodiscard]] const kept_messages& kept() const noexcept { return kept_; }
  void keep(message one);
  message take(std::uint64_t number);
  template <class Test>
  void drop_kept(Test&& test) {
    for (auto at = kept_.begin(); at != kept_.end();) {
      const auto looked = at++;
      if (test(looked->second)) static_cast<void>(take(looked->first));
    }
  }

 private:
  enum class yield_kind { none, preempted, waiting };
  lua_machine(process& self, const script::limits& budget) : self_(&self), budget_(budget) {}
  static void* allocate(void* context, void* block, std::size_t old_size, std::size_t new_size);
  static void hook(lua_State* L, lua_Debug* record);
  [[nodiscard]] bool stopped(error& why) const;
  [[nodiscard]] run_outcome ended(lua_State* thread, int status, int results);

  void show(list& messages, std::size_t most) const override;
  void hide_kept() noexcept;
  void show_memory() noexcept;  // in what the process is known to use

  kept_messages kept_;
  std::uint64_t next_kept_ = 1;
  bool shows_kept_ = false;  // `self_` knows of them
  std::uint32_t shown_ = 0;  // of `self_`'s memory, so much is this machine's
  process* self_;
  script::limits budget_;
  lua_State* state_ = nullptr;
  lua_State* thread_ = nullptr;
  std::shared_ptr<stop_request> stop_ = std::make_shared<stop_request>();
  std::size_t used_ = 0;
  std::int64_t blocked_ = 0;
  std::int64_t work_ = 0;  // charged since the last hook
  time_point deadline_ = time_point::max();
  yield_kind yielding_ = yield_kind::none;
  operation operation_;
  result<value> answer_{errc::cancelled, ""};
  std::optional<exit_reason> exit_;
};

// -- entering C++ from Lua -------------------------------------------------------------------------------------------

int raise_cpp(lua_State* L, const char* what);  // pushes the message with its place and raises it

template <class F>
int guard(lua_State* L, F&& body) {
  std::string what;
  try {
    return body();
  } catch (const std::bad_alloc&) {
    what = "out of memory";
  } catch (const std::exception& e) {
    what = e.what();
  }
  return raise_cpp(L, what.c_str());
}
template <lua_CFunction F>
int guarded(lua_State* L) {
  return guard(L, [L] { return F(L); });
}
template <int (*F)(lua_State*, lua_KContext)>
int guarded_k(lua_State* L, int, lua_KContext context) {
  return guard(L, [L, context] { return F(L, context); });
}

// Runs `body(L)` where errors of Lua are caught; they come back as an error with Lua's message.
[[nodiscard]] error protected_error(lua_State* L, int status);
template <class F>
[[nodiscard]] result<void> protect(lua_State* L, F&& body) {
  lua_CFunction call = [](lua_State* inner) {
    auto* given = static_cast<std::remove_reference_t<F>*>(lua_touserdata(inner, 1));
    lua_settop(inner, 0);
    return guard(inner, [&] {
      (*given)(inner);
      return 0;
    });
  };
  if (!lua_checkstack(L, 8)) return error(errc::too_large, "out of Lua stack");
  lua_pushcfunction(L, call);
  lua_pushlightuserdata(L, &body);
  const int status = lua_pcall(L, 1, 0, 0);
  if (status != LUA_OK) return protected_error(L, status);
  return {};
}

[[noreturn]] void raise(lua_State* L, const std::string& what);  // with the place of the caller
[[noreturn]] void raise(lua_State* L, const error& why);         // as a table, see push_error

// Awaits `op` and returns what it gave: a failure raises, or is returned as nil and its text.
enum class on_failure : lua_KContext { raise, return_nil };
int await_value(lua_State* L, operation op, on_failure policy = on_failure::raise);

}  // namespace troupe::internal
