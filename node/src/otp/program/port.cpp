#include "otp/program/port.hpp"

#include "otp/strangers.hpp"

namespace troupe::internal {
namespace {

// What the watch sends has no form on a wire: nobody else can make one.
template <class Event>
Event* own_event(message& got) {
  detail::envelope* e = got.peek();
  return e && e->type == &detail::type_of<Event> ? static_cast<Event*>(e->payload()) : nullptr;
}

// {"exit_status", 3}, {"exit_signal", "SIGKILL"}, normal.
exit_reason reason_of(const program_gone& gone) {
  program_ended end;
  end.signal = gone.signal;
  if (gone.signal != 0) return exit_reason(list_of({"exit_signal", end.text()}));
  if (gone.status != 0) return exit_reason(list_of({"exit_status", gone.status}));
  return exit_reason::normal();
}

std::optional<std::string> data_of(const value& given) {
  if (const std::string* text = given.text()) return *text;
  if (const bytes* data = given.binary()) return std::string(reinterpret_cast<const char*>(data->data()), data->size());
  return std::nullopt;
}

}  // namespace

program_port::program_port(port_plan plan)
    : plan_(std::move(plan)), output_(plan_.what.line_bytes), errors_(plan_.what.line_bytes) {
  errors_.ended = plan_.what.errors != program_errors::apart;
}

void program_port::begin(process& self) {
  self.trap_exits(true);
  std::string label;
  for (const std::string& word : plan_.what.words) label += (label.empty() ? "" : " ") + word;
  self.set_label(value(label).print(1, 200));
  heard_ = self.now();
  if (plan_.use != program_use::child) own(self, plan_.what.owner);
  const std::size_t most = plan_.what.full == program_full::pause ? plan_.what.most_waiting
                                                                  : std::min<std::size_t>(plan_.what.most_waiting, 64);
  flow_ = std::make_shared<detail::program_flow>(self.core(), self.id(), most);
  plan_.hold.watch().attach(plan_.hold.which(), self.id());
  ask_for_more();
}

void program_port::own(process& self, pid owner) {
  if (watch_of_owner_ != ref()) self.demonitor(watch_of_owner_);
  owner_ = owner;
  watch_of_owner_ = self.monitor(owner);
}

// -- what comes

void program_port::take(process& self, message got) {
  if (auto* chunk = own_event<program_chunk>(got)) {
    on_chunk(self, *chunk);
  } else if (auto* written = own_event<program_written>(got)) {
    if (!writers_.empty()) {
      message done = std::move(writers_.front());
      writers_.pop_front();
      if (written->ok) self.reply(done, value());
      else self.reply_error(done, error(errc::closed, "the program reads no more"));
      input_ended_ = input_ended_ || !written->ok;
      write_next();
    }
  } else if (auto* gone = own_event<program_gone>(got)) {
    gone_ = *gone;
  } else if (own_event<detail::program_room>(got)) {
    heard_ = self.now();  // it could not be heard before
  } else if (got.is_call()) {
    on_call(self, std::move(got));
  } else if (got.peek()->kind == detail::signal::down) {
    if (got.get<down>()->monitor == watch_of_owner_) stop(self, exit_reason::normal(), true);
  } else if (is_genuine_exit(got)) {
    // A parent's or a stranger's; that of a process which merely ended well is none.
    const auto* told = got.get<exit_message>();
    if (told->from == plan_.parent || !told->reason.is_normal()) stop(self, told->reason, false);
  } else if (got.tag() == program_write::troupe_tag()) {
    on_write(self, std::move(got));
  } else if (!on_request(self, got)) {
    refuse_stranger(self, "program", got);  // a cast: nobody hears what was wrong
  }
  pump(self);
}

void program_port::on_chunk(process& self, program_chunk& got) {
  stream& from = of(got.stream);
  from.asked = false;
  heard_ = self.now();
  bytes_ += got.data.size();
  if (!got.data.empty()) from.lines.add(std::move(got.data));
  if (got.end) {
    from.ended = true;
    from.lines.end();
  }
}

void program_port::on_call(process& self, message got) {
  if (own_event<ask_program_result>(got)) {
    asker_ = std::move(got);
  } else if (got.tag() == program_write::troupe_tag()) {
    on_write(self, std::move(got));
  } else if (got.tag() == program_close::troupe_tag()) {
    stop(self, exit_reason::normal(), true);
    closers_.push_back(std::move(got));
  } else if (got.tag() == ask_program::troupe_tag()) {
    on_info(self, got);
  } else if (auto done = on_request(self, got); done) {
    self.reply(got, value());
  } else if (done.error() == errc::unsupported) {
    refuse_stranger(self, "program", got);
  } else {
    self.reply_error(got, error(errc::bad_argument, done.error().text()));
  }
}

// What is as good without an answer. errc::unsupported: it is none of these.
result<void> program_port::on_request(process& self, message& got) {
  error why;
  const std::string tag = got.tag();
  if (tag == program_close::troupe_tag()) {
    stop(self, exit_reason::normal(), true);
  } else if (tag == program_end_input::troupe_tag()) {
    if (!got.get<program_end_input>(&why)) return why;
    input_ended_ = true;
    if (writers_.empty()) plan_.hold.watch().end_input(plan_.hold.which());
  } else if (tag == program_signal::troupe_tag()) {
    const auto* asked = got.get<program_signal>(&why);
    if (!asked) return why;
    if (asked->number < 1 || asked->number > 64)
      return error(errc::bad_argument, "signal: 1 to 64 expected, " + std::to_string(asked->number) + " given");
    plan_.hold.watch().signal(plan_.hold.which(), static_cast<int>(asked->number));
  } else if (tag == program_connect::troupe_tag()) {
    const auto* asked = got.get<program_connect>(&why);
    if (!asked) return why;
    if (plan_.use != program_use::owned)
      return error(errc::bad_argument, "connect: only a program with an owner can get another one");
    if (!asked->owner) return error(errc::bad_argument, "connect: the pid of its new owner expected");
    own(self, asked->owner);
  } else {
    return error(errc::unsupported, "a program takes no \"" + tag + "\"");
  }
  return {};
}

void program_port::on_write(process& self, message got) {
  error why;
  const auto* asked = got.get<program_write>(&why);
  if (!asked) {
    self.reply_error(got, error(errc::bad_argument, why.text()));
  } else if (!data_of(asked->data)) {
    self.reply_error(got, error(errc::bad_argument, "what a program reads is text or bytes"));
  } else if (!plan_.what.input) {
    self.reply_error(got, error(errc::bad_argument, "this program was started without input"));
  } else if (input_ended_ || reason_ || gone_) {
    self.reply_error(got, error(errc::closed, "the program reads no more"));
  } else if (writers_.size() >= plan_.what.most_waiting) {
    self.reply_error(got, error(errc::overloaded, std::to_string(writers_.size()) +
                                                      " writes wait for the program to read: most_waiting"));
  } else {
    writers_.push_back(std::move(got));
    if (writers_.size() == 1) write_next();
  }
}

void program_port::write_next() {
  if (!writers_.empty()) {
    plan_.hold.watch().write(plan_.hold.which(), *data_of(writers_.front().get<program_write>()->data));
  } else if (input_ended_) {
    plan_.hold.watch().end_input(plan_.hold.which());
  }
}

void program_port::on_info(process& self, message& got) const {
  program_info about;
  about.words = plan_.what.words;
  about.os_pid = plan_.hold.os_pid();
  if (owner_) about.owner = owner_;
  about.events = events_;
  about.bytes = bytes_;
  about.dropped = dropped_;
  about.paused = paused_;
  self.reply(got, std::move(about));
}

void program_port::stop(process& self, exit_reason reason, bool silent) {
  silent_ = silent_ || silent;
  if (reason_) return;
  reason_ = std::move(reason);
  heard_ = self.now();
  plan_.hold.watch().stop(plan_.hold.which());
}

duration program_port::patience(const process& self) const {
  duration limit = plan_.what.idle;
  if (reason_) limit = !given_up_ && (paused_ || !ring_.empty()) ? plan_.what.stop_within : wait_forever;
  else if (gone_ || paused_) limit = wait_forever;
  if (limit == wait_forever) return wait_forever;
  return std::max(duration::zero(), duration(deadline_after(heard_, limit) - self.now()));
}

void program_port::too_long_idle(process& self) {
  if (patience(self) > duration::zero()) return;
  if (reason_) {
    given_up_ = true;
    return pump(self);
  }
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(plan_.what.idle).count();
  const std::string text = "nothing was written for " + std::to_string(ms) + " ms";
  stop(self, exit_reason(list_of({"timeout", text})), false);
  pump(self);
}

// -- what goes

void program_port::pump(process& self) {
  paused_ = false;
  if (silent_) {
    for (stream* each : {&output_, &errors_}) each->lines.clear();
    ring_.clear();
  } else if (plan_.use == program_use::owned) {
    if (given_up_) drop_rest();
    else if (plan_.what.full == program_full::drop_oldest) pump_ring(self);
    else pump_to_owner(self);
  } else {
    for (auto which : {program_stream::output, program_stream::errors}) {
      while (auto event = next_event(which)) use_here(self, std::move(*event));
    }
  }
  ask_for_more();
}

void program_port::drop_rest() {
  std::uint64_t count = ring_.size();
  ring_.clear();
  for (auto which : {program_stream::output, program_stream::errors}) {
    while (next_event(which)) ++count;
  }
  dropped_ += count;
  untaken_ += count;
}

void program_port::pump_to_owner(process& self) {
  for (auto which : {program_stream::output, program_stream::errors}) {
    while (!of(which).lines.empty()) {
      if (!has_room()) {
        paused_ = true;
        return;
      }
      auto event = next_event(which);
      if (!event) break;  // the beginning of a line
      send(self, std::move(*event));
    }
  }
}

void program_port::pump_ring(process& self) {
  auto send_waiting = [&] {
    while (!ring_.empty() && has_room()) {
      program_output event = std::move(ring_.front());
      ring_.pop_front();
      event.dropped = std::exchange(lost_, 0);
      send(self, std::move(event));
    }
  };
  send_waiting();
  for (auto which : {program_stream::output, program_stream::errors}) {
    while (auto event = next_event(which)) {
      ring_.push_back(std::move(*event));
      send_waiting();
      if (ring_.size() <= plan_.what.most_waiting) continue;
      ring_.pop_front();
      ++lost_;
      ++dropped_;
    }
  }
}

// False: there will be a program_room.
bool program_port::has_room() {
  if (flow_->waiting.load() < flow_->most) return true;
  flow_->asked.store(true);
  // Taken meanwhile? Then nobody may be there any more to say so.
  return flow_->waiting.load() <= flow_->enough_below && flow_->asked.exchange(false);
}

std::optional<program_output> program_port::next_event(program_stream which) {
  program_output out;
  if (plan_.what.by_line && plan_.use != program_use::collected) {
    auto line = of(which).lines.next();
    if (!line) return std::nullopt;
    out.eol = line->eol;
    out.data = std::move(line->data);
  } else {
    auto chunk = of(which).lines.all();
    if (!chunk) return std::nullopt;
    out.chunk = true;
    out.data = std::move(*chunk);
  }
  out.errors = which == program_stream::errors;
  ++events_;
  return out;
}

void program_port::send(process& self, program_output event) {
  event.program = self.id();
  message out(std::move(event));
  out.get<program_output>()->credit.take(flow_);
  self.send(owner_, std::move(out));
}

void program_port::use_here(process& self, program_output event) {
  event.program = self.id();
  if (plan_.use == program_use::collected) {
    if (failure_) return;
    (event.errors ? result_.errors : result_.output) += event.data;
    if (result_.errors.size() + result_.output.size() <= plan_.most_bytes) return;
    failure_ = error(errc::too_large, "\"" + plan_.what.words.front() + "\" wrote more than " +
                                          std::to_string(plan_.most_bytes) + " bytes: it is stopped");
    stop(self, exit_reason::normal(), false);
  } else if (plan_.what.each) {
    plan_.what.each(self, event);
  } else {
    const log_level level = event.errors ? log_level::warning : log_level::info;
    self.log().log(level, event.data, {{"program", plan_.id}, {"stream", event.errors ? "stderr" : "stdout"}});
  }
}

void program_port::ask_for_more() {
  for (auto which : {program_stream::output, program_stream::errors}) {
    stream& one = of(which);
    if (one.asked || one.ended || paused_) continue;
    one.asked = true;
    plan_.hold.watch().want(plan_.hold.which(), which);
  }
}

// -- the end

bool program_port::over() const {
  if (!gone_) return false;
  if (silent_) return true;  // nobody is to be told any more
  if (!ring_.empty() || paused_) return false;
  return plan_.use != program_use::collected || asker_.has_value();
}

exit_reason program_port::finish(process& self) {
  plan_.hold.release();
  flow_->asked.store(false);
  for (message& each : writers_) self.reply_error(each, error(errc::closed, "the program has ended"));
  for (message& each : closers_) self.reply(each, value());
  if (plan_.use == program_use::collected && asker_) {
    result_.status = gone_->status;
    result_.signal = gone_->signal;
    if (failure_) self.reply_error(*asker_, *failure_);
    else self.reply(*asker_, std::move(result_));
  }
  if (untaken_ > 0) {
    self.log().log(log_level::warning, "a program was stopped, and its owner did not take the rest of its output",
                   {{"program", plan_.what.words.front()}, {"dropped", untaken_}});
  }
  if (plan_.use == program_use::owned && !silent_) {
    program_ended end;
    end.program = self.id();
    end.status = gone_->status;
    end.signal = gone_->signal;
    self.send(owner_, end);
  }
  exit_reason reason = reason_ ? *reason_ : reason_of(*gone_);
  if (plan_.use == program_use::child || reason.is_planned()) return reason;
  return exit_reason(list_of({"shutdown", reason.term()}));  // the owner knows: no crash
}

task<> serve_program(process& self, std::unique_ptr<program_port> port) {
  port->begin(self);
  while (!port->over()) {
    auto got = co_await self.receive(port->patience(self));
    if (got) port->take(self, std::move(*got));
    else port->too_long_idle(self);
  }
  self.exit(port->finish(self));
}

}  // namespace troupe::internal
