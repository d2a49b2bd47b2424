#include <troupe/program.hpp>

#include <troupe/blocking.hpp>
#include <troupe/spawn.hpp>

#include "otp/program/port.hpp"
#include "sched/scheduler.hpp"

namespace troupe {

namespace {

constexpr duration margin = std::chrono::seconds(2);

duration longer(duration limit) { return limit > wait_forever - margin ? wait_forever : limit + margin; }

struct begun {
  pid process;
  std::int64_t os_pid = 0;
};

// The system's part is done by a thread that may wait: a path may lie on a disk that is far away.
task<result<begun>> begin_program(process& self, command::plan what, internal::program_use use, std::string id,
                                  std::size_t most_bytes) {
  if (self.core().scheduler().workers() == 0)
    co_return error(errc::unsupported, "a simulated node runs no external programs");
  if (use == internal::program_use::child && what.owner)
    co_return error(errc::bad_argument, "owner: a child's output goes to its handler, or to the log");
  if (use != internal::program_use::child && what.each)
    co_return error(errc::bad_argument, "handle: only a child has a handler; this program's output goes to its owner");
  auto watch = internal::program_watch::of(self.core());
  if (!watch) co_return watch.error();
  auto start = [watch = *watch, what]() -> result<internal::program_hold> {
    pid_t os_pid = -1;
    auto made = watch->start(what, os_pid);
    if (!made) return made.error();
    return internal::program_hold(watch, *made, os_pid);
  };
  auto hold = co_await blocking(self, start);
  if (!hold) co_return hold.error();
  begun out;
  out.os_pid = hold->os_pid();
  if (!what.owner) what.owner = self.id();
  internal::port_plan plan(std::move(*hold), std::move(what), use);
  const bool linked = use == internal::program_use::child;
  if (linked) plan.parent = self.id();
  plan.id = std::move(id);
  plan.most_bytes = most_bytes;
  spawn_options how;
  how.entry = "program";
  how.link = linked;
  auto spawned = try_spawn(self, std::move(how), internal::serve_program,
                           std::make_unique<internal::program_port>(std::move(plan)));
  if (!spawned) co_return spawned.error();
  out.process = spawned->process;
  co_return out;
}

task<started> start_child_program(process& up, std::string id, command what) {
  auto starting = begin_program(up, what.described(), internal::program_use::child, std::move(id), 0);
  auto made = co_await std::move(starting);
  if (!made) co_return started::failed(exit_reason(made.error()));
  co_return started::ok(made->process);
}

}  // namespace

// -- what to run

command::command(std::vector<std::string> words) { plan_.words = std::move(words); }

command& command::argument(std::string word) {
  plan_.words.push_back(std::move(word));
  return *this;
}
command& command::variable(std::string name, std::string content) {
  plan_.environment.insert_or_assign(std::move(name), std::move(content));
  return *this;
}
command& command::without_variable(std::string name) {
  plan_.environment.insert_or_assign(std::move(name), std::nullopt);
  return *this;
}
command& command::directory(std::filesystem::path where) {
  plan_.directory = std::move(where);
  return *this;
}
command& command::input(bool piped) {
  plan_.input = piped;
  return *this;
}
command& command::errors(program_errors where) {
  plan_.errors = where;
  return *this;
}
command& command::lines(std::size_t most_bytes) {
  plan_.by_line = true;
  plan_.line_bytes = most_bytes;
  return *this;
}
command& command::chunks() {
  plan_.by_line = false;
  return *this;
}
command& command::most_waiting(std::size_t events) {
  plan_.most_waiting = events;
  return *this;
}
command& command::when_full(program_full what) {
  plan_.full = what;
  return *this;
}
command& command::idle(duration limit) {
  plan_.idle = limit;
  return *this;
}
command& command::stop_within(duration limit) {
  plan_.stop_within = limit;
  return *this;
}
command& command::owner(pid who) {
  plan_.owner = who;
  return *this;
}
command& command::handle(handler each) {
  plan_.each = std::move(each);
  return *this;
}

// -- a program that runs

call_awaiter<void> program::write(process& self, std::string_view data) const {
  const auto* at = reinterpret_cast<const std::byte*>(data.data());
  return call(self, process_, program_write(value(bytes(at, at + data.size()))));
}
call_awaiter<void> program::end_input(process& self) const { return call(self, process_, program_end_input()); }
call_awaiter<void> program::close(process& self) const {
  return call(self, process_, program_close()).within(longer(stop_within_));
}
call_awaiter<void> program::signal(process& self, int number) const {
  return call(self, process_, program_signal(number));
}
call_awaiter<void> program::connect(process& self, pid owner) const {
  return call(self, process_, program_connect(owner));
}
call_awaiter<program_info> program::info(process& self) const { return call(self, process_, ask_program()); }

task<result<program>> start_program(process& self, command what) {
  auto starting = begin_program(self, what.described(), internal::program_use::owned, {}, 0);
  auto made = co_await std::move(starting);
  if (!made) co_return made.error();
  co_return program(made->process, made->os_pid, what.described().stop_within);
}

task<result<program_result>> run_program(process& self, command what, duration limit, std::string input,
                                         std::size_t most_bytes) {
  const time_point until = deadline_after(self.now(), limit);
  command::plan plan = what.described();
  plan.input = !input.empty();
  plan.idle = wait_forever;
  plan.owner = self.id();
  auto starting = begin_program(self, plan, internal::program_use::collected, {}, most_bytes);
  auto made = co_await std::move(starting);
  if (!made) co_return made.error();
  const pid child = made->process;
  if (!input.empty()) {
    // Nobody waits for it: a program need not read.
    const auto* at = reinterpret_cast<const std::byte*>(input.data());
    self.send(child, program_write(value(bytes(at, at + input.size()))));
    self.send(child, program_end_input());
  }
  const duration left = until == time_point::max() ? wait_forever : std::max(duration::zero(), until - self.now());
  auto done = co_await call<program_result>(self, child, internal::ask_program_result()).within(left);
  if (done || done.error() != errc::timeout) co_return done;
  self.send(child, program_close());
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(limit).count();
  co_return error(errc::timeout,
                  "\"" + plan.words.front() + "\" did not end within " + std::to_string(ms) + " ms: it is stopped");
}

child_spec program_child(std::string id, command what, restart_type restart) {
  child_spec out;
  out.id = id;
  out.restart = restart;
  out.stop_within = longer(what.described().stop_within);
  out.start = [id = std::move(id), what = std::move(what)](process& up) { return start_child_program(up, id, what); };
  return out;
}

}  // namespace troupe
