#include "observe/trace_engine.hpp"

#include "observe/glob.hpp"

#include <algorithm>
#include <iterator>
#include <mutex>

namespace troupe::internal {
namespace {

constexpr std::size_t calls_kept = 64;  // per process, for the arity of returns

result<void> sort_filter(detail::core& home, const value& filter, trace_session& into) {
  pid given;
  if (const auto* p = filter.process()) {
    given = *p;
  } else {
    const std::string& text = *filter.text();
    if (text == "new" || text == "all" || text == "existing") {
      if (text != "new" && !into.what.force) {
        return error(errc::not_allowed, "tracing " + text + " processes can overload the node: ask for it with force");
      }
      into.wants_new = into.wants_new || text != "existing";
      into.wants_existing = into.wants_existing || text != "new";
      return {};
    }
    if (text.front() != '<') {
      (is_glob(text) ? into.globs : into.names).push_back(text);
      return {};
    }
    auto parsed = pid::parse(text);
    if (!parsed) return error(errc::bad_argument, "processes: " + parsed.error().message());
    given = *parsed;
  }
  if (!home.is_local(given)) return error(errc::bad_argument, "processes: " + given.text() + " is not of this node");
  into.pids.push_back(given);
  return {};
}

std::string nobody(const trace_session& session) {
  const bool glob = !session.globs.empty();
  std::string names;
  for (const auto* list : {&session.globs, &session.names}) {
    for (const std::string& each : *list) names += (names.empty() ? "" : ", ") + each;
  }
  return "no process to trace: " + (glob ? std::string("no registered name fits ") : "nobody is registered as ") +
         names;
}

}  // namespace

result<std::shared_ptr<trace_session>> trace_engine::sort(trace::spec what, pid owner) {
  auto session = std::make_shared<trace_session>(home_, std::move(what), owner);
  const trace::spec& asked = session->what;
  if (asked.processes.empty()) return error(errc::bad_argument, "processes: whom to trace is missing");
  for (const auto& filter : asked.processes) {
    if (auto sorted = sort_filter(home_, filter, *session); !sorted) return sorted.error();
  }
  if (session->wants_new || session->wants_existing) return result<std::shared_ptr<trace_session>>(std::move(session));
  const bool named = !session->names.empty() || !session->globs.empty();
  if ((!named || !asked.wait) && matched_now(*session).empty()) {
    return error(errc::noproc,
                 named ? nobody(*session) : "no process to trace: " + session->pids.front().text() + " has ended");
  }
  return result<std::shared_ptr<trace_session>>(std::move(session));
}

result<std::shared_ptr<trace_session>> trace_engine::prepare(trace::spec what, pid owner) {
  if (!what.receive && !what.send && !what.life && what.calls.empty()) {
    return error(errc::bad_argument, "nothing to trace: receive, send, calls or life is missing");
  }
  return sort(std::move(what), owner);
}

result<std::size_t> trace_engine::matching(trace::spec what) {
  auto session = sort(std::move(what), pid());
  if (!session) return session.error();
  return matched_now(**session).size();
}

std::vector<pid> trace_engine::matched_now(const trace_session& session) const {
  std::vector<pid> found;
  for (const pid p : session.pids) {
    if (home_.exists(p)) found.push_back(p);
  }
  for (const auto& name : session.names) {
    if (auto holder = home_.whereis(name)) found.push_back(*holder);
  }
  if (!session.globs.empty()) {
    for (const auto& [name, holder] : home_.registered()) {
      if (session.wants_name(name)) found.push_back(holder);
    }
  }
  if (session.wants_existing) std::ranges::copy(home_.processes(), std::back_inserter(found));
  std::ranges::sort(found);
  found.erase(std::ranges::unique(found).begin(), found.end());
  return found;
}

std::size_t trace_engine::open(const std::shared_ptr<trace_session>& session) {
  const pid own = session->process();
  {
    std::unique_lock lock(mutex_);
    if (session->closed) return 0;  // its process was quicker
    // Whoever now becomes part of tracing stops being traced.
    for (const pid part : {own, session->to}) {
      const auto found = covering_.find(part);
      if (found == covering_.end()) continue;
      for (const auto& other : found->second) other->covered.erase(part);
      covering_.erase(found);
      home_.set_trace(part, 0);
    }
    sessions_.push_back(session);
    open_.fetch_add(1, std::memory_order_release);
  }
  // From here on the hooks see new names and processes; what is there already is found now. Twice is harmless.
  for (const pid p : matched_now(*session)) cover(session, p);
  std::size_t matched = 0;
  {
    std::shared_lock lock(mutex_);
    matched = session->covered.size();
  }
  session->open(matched);
  if (!home_.exists(own)) close(session);  // killed before the hooks knew it
  return matched;
}

void trace_engine::close(const std::shared_ptr<trace_session>& session) {
  {
    std::unique_lock lock(mutex_);
    session->closed = true;
    const auto at = std::find(sessions_.begin(), sessions_.end(), session);
    if (at != sessions_.end()) {
      sessions_.erase(at);
      open_.fetch_sub(1, std::memory_order_release);
      for (const pid p : session->covered) forget_locked(*session, p);
      session->covered.clear();
      if (sessions_.empty()) {
        std::lock_guard calls(calls_mutex_);
        calls_.clear();
      }
    }
  }
  session->finish();
}

std::size_t trace_engine::close_all() {
  const session_list now = all();
  for (const auto& session : now) {
    session->trip("stopped");
    close(session);
  }
  return now.size();
}

trace_engine::session_list trace_engine::all() const {
  std::shared_lock lock(mutex_);
  return sessions_;
}

std::size_t trace_engine::covered_count() const {
  std::shared_lock lock(mutex_);
  return covering_.size();
}

bool trace_engine::cover(const std::shared_ptr<trace_session>& session, pid p) {
  std::unique_lock lock(mutex_);
  if (std::find(sessions_.begin(), sessions_.end(), session) == sessions_.end()) return false;
  for (const auto& other : sessions_) {
    if (p == other->process() || p == other->to) return false;
  }
  if (!session->covered.insert(p).second) return true;
  session_list& coverers = covering_[p];
  coverers.push_back(session);
  std::uint8_t flags = 0;
  for (const auto& one : coverers) flags |= one->flags;
  if (home_.set_trace(p, flags)) return true;
  session->covered.erase(p);
  covering_.erase(p);  // it has ended: nobody covers it
  return false;
}

void trace_engine::uncover(const std::shared_ptr<trace_session>& session, pid p) {
  std::unique_lock lock(mutex_);
  if (session->covered.erase(p) > 0) forget_locked(*session, p);
}

void trace_engine::forget_locked(const trace_session& session, pid p) {
  const auto found = covering_.find(p);
  if (found == covering_.end()) return;
  std::erase_if(found->second, [&](const auto& one) { return one.get() == &session; });
  std::uint8_t flags = 0;
  for (const auto& one : found->second) flags |= one->flags;
  if (found->second.empty()) covering_.erase(found);
  home_.set_trace(p, flags);
}

template <class Wants>
trace_engine::session_list trace_engine::ready(pid p, Wants&& wants) {
  hooks_.fetch_add(1, std::memory_order_relaxed);
  session_list out;
  {
    std::shared_lock lock(mutex_);
    const auto found = covering_.find(p);
    if (found == covering_.end()) return out;
    for (const auto& session : found->second) {
      if (wants(*session)) out.push_back(session);
    }
  }
  std::erase_if(out, [this](const auto& session) {
    const auto answer = session->admit();
    if (answer == trace_session::admission::lost) lost_.fetch_add(1, std::memory_order_relaxed);
    return answer != trace_session::admission::granted;
  });
  return out;
}

map trace_engine::event_of(process& self, std::string_view kind) const {
  const auto at = home_.clock().wall().time_since_epoch();
  map event;
  event.reserve(8);
  event.emplace_back(value("seq"), value(0));
  event.emplace_back(value("time"), value(std::chrono::duration_cast<std::chrono::nanoseconds>(at).count()));
  event.emplace_back(value("kind"), value(kind));
  event.emplace_back(value("pid"), value(self.id()));
  if (std::string name = self.name(); !name.empty()) event.emplace_back(value("name"), value(std::move(name)));
  return event;
}

void trace_engine::tell(const session_list& sessions, map event) {
  for (std::size_t i = 0; i + 1 < sessions.size(); ++i) sessions[i]->tell(event);
  sessions.back()->tell(std::move(event));
}

// -- hooks, each on the thread of the process that it is about

void trace_engine::received(process& self, const detail::envelope& e) {
  const session_list to = ready(self.id(), [](const trace_session& s) { return s.what.receive; });
  if (to.empty()) return;
  map event = event_of(self, "receive");
  event.emplace_back(value("message"), detail::envelope_value(e));
  tell(to, std::move(event));
}

void trace_engine::sent(process& self, const address& receiver, const detail::envelope& e) {
  const session_list to = ready(self.id(), [](const trace_session& s) { return s.what.send; });
  if (to.empty()) return;
  map event = event_of(self, "send");
  event.emplace_back(value("to"), receiver.by_name() ? value(receiver.text()) : value(receiver.pid()));
  event.emplace_back(value("message"), detail::envelope_value(e));
  tell(to, std::move(event));
}

void trace_engine::called(process& self, std::string_view function, list arguments) {
  const session_list to = ready(self.id(), [&](const trace_session& s) { return s.wants_function(function); });
  if (to.empty()) return;
  if (std::any_of(to.begin(), to.end(), [](const auto& s) { return s->what.returns; })) {
    std::lock_guard lock(calls_mutex_);
    auto& open = calls_[self.id()];
    if (open.size() >= calls_kept) open.pop_front();
    open.emplace_back(function, arguments.size());
  }
  map event = event_of(self, "call");
  event.emplace_back(value("function"), value(function));
  event.emplace_back(value("arguments"), value(std::move(arguments)));
  tell(to, std::move(event));
}

void trace_engine::returned(process& self, std::string_view function, const value& result) {
  const session_list to =
      ready(self.id(), [&](const trace_session& s) { return s.what.returns && s.wants_function(function); });
  if (to.empty()) return;
  map event = event_of(self, "return");
  event.emplace_back(value("function"), value(function));
  if (const auto arity = end_call(self.id(), function)) event.emplace_back(value("arity"), value(*arity));
  event.emplace_back(value("result"), result);
  tell(to, std::move(event));
}

// How many arguments the call had whose return this is. Calls in between that threw never return.
std::optional<std::size_t> trace_engine::end_call(pid of, std::string_view function) {
  std::lock_guard lock(calls_mutex_);
  const auto found = calls_.find(of);
  if (found == calls_.end()) return std::nullopt;
  auto& open = found->second;
  const auto at = std::find_if(open.rbegin(), open.rend(), [&](const auto& call) { return call.first == function; });
  if (at == open.rend()) return std::nullopt;
  const std::size_t arity = at->second;
  open.erase(std::prev(at.base()), open.end());
  if (open.empty()) calls_.erase(found);
  return arity;
}

void trace_engine::spawned(process& child, pid parent) {
  if (session_count() == 0) return;
  for (const auto& session : all()) {
    if (session->wants_new) cover(session, child.id());
  }
  const session_list to = ready(parent, [](const trace_session& s) { return s.what.life; });
  if (to.empty()) return;
  map event = event_of(child, "spawn");
  event[3].second = value(parent);
  event.resize(4);  // a name would be the child's
  event.emplace_back(value("child"), value(child.id()));
  if (auto summary = home_.summary(child.id())) event.emplace_back(value("function"), value(summary->entry));
  tell(to, std::move(event));
}

void trace_engine::named(process& self, std::string_view name, bool registered) {
  if (session_count() == 0) return;
  const session_list now = all();
  if (registered) {
    for (const auto& session : now) {
      if (session->wants_name(name)) cover(session, self.id());
    }
  }
  const session_list to = ready(self.id(), [](const trace_session& s) { return s.what.life; });
  if (!to.empty()) {
    map event = event_of(self, "register");
    event.emplace_back(value("as"), value(name));
    event.emplace_back(value("registered"), value(registered));
    tell(to, std::move(event));
  }
  if (registered) return;
  // Traced by the name that it gives up, and by nothing else: no longer.
  for (const auto& session : now) {
    const bool by_pid = std::find(session->pids.begin(), session->pids.end(), self.id()) != session->pids.end();
    if (session->wants_name(name) && !by_pid && !session->wants_existing && !session->wants_new)
      uncover(session, self.id());
  }
}

void trace_engine::exited(process& self, const exit_reason& reason) {
  if (session_count() == 0) return;
  const pid gone = self.id();
  const session_list to = ready(gone, [](const trace_session& s) { return s.what.life; });
  if (!to.empty()) {
    map event = event_of(self, "exit");
    event.emplace_back(value("reason"), reason.term());
    tell(to, std::move(event));
  }
  {
    std::lock_guard lock(calls_mutex_);
    calls_.erase(gone);
  }
  for (const auto& session : all()) {
    if (session->process() == gone) close(session);  // killed: its own code could not do it
    else uncover(session, gone);
  }
}

}  // namespace troupe::internal
