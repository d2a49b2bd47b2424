#include "script/machine.hpp"

#include "script/convert.hpp"
#include "script/inspect.hpp"
#include "script/library.hpp"

#include "runtime/process_private.hpp"
#include "sched/pool.hpp"
#include "sched/trim.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

namespace troupe::internal {
namespace {

// Its address is the key of the running thread in the registry.
constexpr char thread_key = 0;

int panic(lua_State*) { throw std::logic_error("an error of Lua outside of any protected call"); }

// Small blocks come from the pools: there, what an ended state leaves is given back without a lock over all that others
// allocate (sched/trim.hpp).
void* move_block(void* block, std::size_t old_size, std::size_t new_size) noexcept {
  const bool was_small = old_size <= pool_limit, is_small = new_size <= pool_limit;
  if (block && pool_serves(old_size, new_size)) return block;
  if (!was_small && !is_small) return std::realloc(block, new_size);
  void* made = nullptr;
  try {
    made = is_small ? pool_take(new_size) : std::malloc(new_size);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
  if (!made || !block) return made;
  std::memcpy(made, block, std::min(old_size, new_size));
  if (was_small) pool_give(block, old_size);
  else std::free(block);
  return made;
}

std::string in_mib(std::size_t bytes) { return std::to_string(bytes >> 20) + " MiB"; }

}  // namespace

result<std::unique_ptr<lua_machine>> lua_machine::make(process& self, const script::limits& budget) {
  std::unique_ptr<lua_machine> made(new lua_machine(self, budget));
  made->state_ = lua_newstate(&allocate, made.get());
  if (!made->state_) return error(errc::too_large, "the memory limit is too small for Lua");
  lua_atpanic(made->state_, &panic);
  *static_cast<lua_machine**>(lua_getextraspace(made->state_)) = made.get();
  auto opened = protect(made->state_, [](lua_State* L) { open_library(L); });
  if (!opened) return error(errc::too_large, "the memory limit is too small for Lua");
  lua_sethook(made->state_, &hook, LUA_MASKCOUNT, slice);
  return made;
}

lua_machine::~lua_machine() {
  running_ = nullptr;
  note_freed(used_);
  if (state_) lua_close(state_);
  while (!kept_.empty()) static_cast<void>(take(kept_.begin()->first));
  hide_kept();
  show_memory();
}

void* lua_machine::allocate(void* context, void* block, std::size_t old_size, std::size_t new_size) {
  auto& m = *static_cast<lua_machine*>(context);
  if (!block) old_size = 0;  // then it is the kind of the object
  if (new_size == 0) {
    m.used_ -= old_size;
    if (old_size > pool_limit) std::free(block);
    else if (block) pool_give(block, old_size);
    return nullptr;
  }
  if (new_size > old_size && m.used_ + (new_size - old_size) > m.budget_.memory) return nullptr;
  void* made = move_block(block, old_size, new_size);
  if (made) m.used_ += new_size - old_size;
  // Setting a hook is right at any moment, as a handler of a signal does it.
  if (new_size > large_block && new_size > old_size && m.running_) m.charge(m.running_, new_size / charged_bytes);
  return made;
}

void lua_machine::charge(lua_State* L, std::size_t work) noexcept {
  work_ += static_cast<std::int64_t>(std::min<std::size_t>(work, blocked_limit));
  if (work_ >= slice) lua_sethook(L, &hook, LUA_MASKCOUNT, 1);
}

void lua_machine::check_long_call(lua_State* L, std::size_t work) {
  charge(L, work);
  error why;
  if (stopped(why)) raise(L, why.text());
  if (work_ > 10 * blocked_limit) raise(L, "too long inside a call that cannot be interrupted");
}

void lua_machine::hook(lua_State* L, lua_Debug*) {
  lua_machine& m = of(L);
  const std::int64_t work = std::max<std::int64_t>(slice, std::exchange(m.work_, 0));
  if (m.can_wait(L)) {
    m.blocked_ = 0;
    m.work_ = work;  // for `run`
    m.yielding_ = yield_kind::preempted;
    lua_sethook(L, &hook, LUA_MASKCOUNT, slice);
    lua_yield(L, 0);
    return;
  }
  error why;
  m.blocked_ += work;
  const bool stop = m.stopped(why);
  lua_sethook(L, &hook, LUA_MASKCOUNT, slice);
  if (!stop && m.blocked_ < blocked_limit) return;
  // Again at every instruction, so that a pcall in here cannot go on for long.
  lua_sethook(L, &hook, LUA_MASKCOUNT, 1);
  if (stop) raise(L, why.text());
  raise(L, "too long inside a call that cannot be interrupted");
}

bool lua_machine::stopped(error& why) const {
  if (exit_) {
    why = error(errc::exited, "the process ends");
    return true;
  }
  if (stop_->why.load(std::memory_order_acquire) != stop_request::none) {
    why = error(errc::cancelled, "interrupted");
    return true;
  }
  if (deadline_ != time_point::max() && self_->now() >= deadline_) {
    why = error(errc::timeout, "the evaluation's time is over");
    return true;
  }
  return false;
}

duration lua_machine::clamp(duration wanted) const {
  if (deadline_ == time_point::max()) return wanted;
  return std::max(duration::zero(), std::min<duration>(wanted, deadline_ - self_->now()));
}

lua_State* lua_machine::fresh_thread(lua_State* L) {
  thread_ = nullptr;
  lua_pushnil(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &thread_key);
  // What an evaluation that failed for memory has left behind must not fail the next one too.
  if (used_ > budget_.memory / 4 * 3) lua_gc(L, LUA_GCCOLLECT);
  lua_State* made = lua_newthread(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &thread_key);
  lua_sethook(made, &hook, LUA_MASKCOUNT, slice);
  thread_ = made;
  return made;
}

void lua_machine::attach(process& self) noexcept {
  if (self_ == &self) return;
  self_ = &self;
  shown_ = 0;
  show_memory();
}

void lua_machine::show_memory() noexcept {
  constexpr std::size_t most = INT32_MAX;  // what a process's counter holds
  if (!self_) return;
  const auto now = static_cast<std::uint32_t>(std::min(used_, most));
  detail::process_private::memory(*self_).fetch_add(now - std::exchange(shown_, now), std::memory_order_relaxed);
}

// -- messages that were looked at and stay

void lua_machine::keep(message one) {
  detail::process_private::count_arrived(*self_, *one.peek());
  if (!std::exchange(shows_kept_, true)) detail::core::shows_too(*self_, this);
  kept_.emplace(next_kept_++, std::move(one));
}

message lua_machine::take(std::uint64_t number) {
  auto node = kept_.extract(number);
  if (node.empty()) return {};
  detail::process_private::count_taken(*self_, *node.mapped().peek());
  return std::move(node.mapped());
}

void lua_machine::show(list& messages, std::size_t most) const {
  for (const auto& [number, one] : kept_) {
    if (messages.size() >= most) return;
    messages.push_back(one.to_value());
  }
}

void lua_machine::hide_kept() noexcept {
  if (std::exchange(shows_kept_, false)) detail::core::shows_too(*self_, nullptr);
}

void lua_machine::forget_waits() noexcept {
  kept_.clear();
  shows_kept_ = false;  // what showed them went with the process, as the count did
  shown_ = 0;
  self_ = nullptr;
  operation_ = nullptr;
  exit_.reset();
  running_ = nullptr;
  yielding_ = yield_kind::none;
}

task<run_outcome> lua_machine::run(process& self, lua_State* thread, int arguments) {
  attach(self);
  blocked_ = 0;
  no_wait_ = 0;
  lua_sethook(state_, &hook, LUA_MASKCOUNT, slice);  // for what is shown of the results
  deadline_ = deadline_after(self.now(), budget_.time);
  int results = 0;
  for (;;) {
    yielding_ = yield_kind::none;
    running_ = thread;
    const int status = lua_resume(thread, nullptr, arguments, &results);
    running_ = nullptr;
    arguments = 0;
    show_memory();
    if (exit_) self.exit(*std::exchange(exit_, std::nullopt));
    if (status != LUA_YIELD) co_return ended(thread, status, results);
    switch (yielding_) {
      case yield_kind::preempted:
        // The work of many slices gives others as many turns: a worker looks into each queue once in so many.
        for (auto turns = std::min<std::int64_t>(std::exchange(work_, 0) / slice, 64); turns > 1; --turns)
          co_await self.yield();
        co_await self.yield();
        break;
      case yield_kind::waiting: {
        auto waiting = operation_(self);
        answer_ = co_await std::move(waiting);
        operation_ = nullptr;
        break;
      }
      case yield_kind::none: break;  // cannot be: coroutine.yield refuses to leave the outermost thread
    }
    run_outcome stopped_early;
    if (stopped(stopped_early.failure)) {
      detail::core::let_go(self);  // it ends now, whatever of it still has to leave
      answer_ = result<value>(errc::cancelled, "interrupted");
      co_return stopped_early;
    }
  }
}

run_outcome lua_machine::ended(lua_State* thread, int status, int results) {
  run_outcome out;
  out.results = results;
  if (status == LUA_OK) return out;
  if (stopped(out.failure)) return out;
  if (status == LUA_ERRMEM) {
    out.failure = error(errc::too_large, "the memory limit of " + in_mib(budget_.memory) + " is reached");
    return out;
  }
  std::string text;
  auto told = protect(state_, [&](lua_State* L) {
    if (!lua_checkstack(L, 1) || lua_gettop(thread) == 0) return;
    lua_xmove(thread, L, 1);
    text = error_text(L, -1);
  });
  out.failure = error(errc::exception, told && !text.empty() ? text : "an error without a message");
  return out;
}

int lua_machine::await(lua_State* L, operation op, lua_KFunction then, lua_KContext context) {
  if (!can_wait(L)) raise(L, "cannot wait here");
  operation_ = std::move(op);
  yielding_ = yield_kind::waiting;
  return lua_yieldk(L, 0, context, then);
}

namespace {

task<result<value>> until_sent(process& self, time_point deadline) {
  auto leaving = detail::core::take_credit(self, deadline);
  co_await std::move(leaving);
  co_return value();
}

int give_sent(lua_State* L, lua_KContext results) {
  static_cast<void>(lua_machine::of(L).take_answer());
  return static_cast<int>(results);
}

}  // namespace

int lua_machine::sent(lua_State* L, int results) {
  if (detail::core::overran(self_->id())) await_exit(L, exit_reason(error(errc::overloaded)));  // it has ended already
  if (!detail::core::is_held(*self_) || !can_wait(L)) return results;
  return await(
      L, [until = deadline_](process& self) { return until_sent(self, until); }, &guarded_k<give_sent>, results);
}

void lua_machine::await_exit(lua_State* L, exit_reason reason) {
  exit_ = std::move(reason);
  if (!can_wait(L)) {
    lua_sethook(L, &hook, LUA_MASKCOUNT, 1);  // so that no pcall in here goes on
    raise(L, "the process ends");
  }
  yielding_ = yield_kind::preempted;
  lua_yield(L, 0);
  std::abort();  // lua_yield does not return
}

// -- errors

int raise_cpp(lua_State* L, const char* what) {
  luaL_where(L, 1);
  lua_pushstring(L, what);
  lua_concat(L, 2);
  return lua_error(L);
}

void raise(lua_State* L, const std::string& what) {
  raise_cpp(L, what.c_str());
  std::abort();  // lua_error does not return
}

error protected_error(lua_State* L, int status) {
  std::string text = "an error without a message";
  if (lua_istable(L, -1) && lua_checkstack(L, 1)) {  // its text is made where errors of Lua are caught
    lua_pushcfunction(L, [](lua_State* inner) {
      luaL_tolstring(inner, 1, nullptr);
      return 1;
    });
    lua_insert(L, -2);
    if (lua_pcall(L, 1, 1, 0) != LUA_OK) status = LUA_ERRMEM;
  }
  if (lua_type(L, -1) == LUA_TSTRING) text = lua_tostring(L, -1);
  lua_pop(L, 1);
  if (status == LUA_ERRMEM) return error(errc::too_large, "the memory limit is reached");
  return error(errc::exception, std::move(text));
}

namespace {

int give_value(lua_State* L, lua_KContext context) {
  result<value> answer = lua_machine::of(L).take_answer();
  if (answer) {
    push_value(L, *answer);
    return 1;
  }
  if (static_cast<on_failure>(context) == on_failure::raise) raise(L, answer.error());
  lua_pushnil(L);
  push_text(L, answer.error().message());
  return 2;
}

}  // namespace

int await_value(lua_State* L, operation op, on_failure policy) {
  return lua_machine::of(L).await(L, std::move(op), &guarded_k<give_value>, static_cast<lua_KContext>(policy));
}

}  // namespace troupe::internal
