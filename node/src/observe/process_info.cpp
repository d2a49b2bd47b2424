#include <troupe/inspect.hpp>
#include <troupe/node.hpp>

#include "observe/value_size.hpp"
#include "runtime/core.hpp"

#include <algorithm>
#include <array>

namespace troupe::inspect {
namespace {

constexpr auto keys = std::to_array<std::string_view>(
    {"pid", "name", "entry", "status", "queue", "memory", "reductions", "at", "calls", "label", "links", "monitors",
     "monitored_by", "group_leader", "parent", "trap_exits", "held", "metadata", "messages"});
constexpr std::size_t message_limit = 100, message_bytes = 16u << 10, most_asked = 100'000;
constexpr duration most_time = std::chrono::seconds(1), one_look = std::chrono::milliseconds(200);

// Answers the waiting caller exactly once: with what was seen, or, when the process ends before its turn, with noproc.
class answer {
 public:
  answer(detail::core& home, pid caller, std::uint64_t id) noexcept : home_(&home), caller_(caller), id_(id) {}
  answer(answer&& other) noexcept
      : home_(std::exchange(other.home_, nullptr)), caller_(other.caller_), id_(other.id_) {}
  answer& operator=(answer&&) = delete;
  ~answer() {
    if (home_) home_->answer_call(caller_, id_, error(errc::noproc, "the process has ended"));
  }
  void give(value seen) {
    detail::envelope* e = detail::make_envelope<value>(detail::signal::reply, std::move(seen));
    e->id = id_;
    std::exchange(home_, nullptr)->deliver(caller_, e);
  }

 private:
  detail::core* home_;
  pid caller_;
  std::uint64_t id_;
};

// Waits for what `look` returns inside another process.
class [[nodiscard]] look_awaiter : private detail::wait_state {
 public:
  look_awaiter(process& self, pid target, value (*look)(process&, bool), bool messages, duration limit,
               std::source_location place = std::source_location::current())
      : self_(self), target_(target), look_(look), messages_(messages) {
    where = place;
    takes_messages = false;
    reply_id = self.make_ref_id();
    deadline = detail::wait_deadline(self, limit);
  }
  // Suspends always: only a suspended process takes a reply.
  bool await_ready() {
    answer back(self_.core(), self_.id(), reply_id);
    self_.core().inspect(target_, [look = look_, messages = messages_, back = std::move(back)](process& seen) mutable {
      back.give(look(seen, messages));
    });
    return false;
  }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> caller) {
    detail::begin_wait(self_, *this, caller);
    return true;
  }
  result<value> await_resume() {
    if (!found) return detail::timeout_error(*this);
    message taken(std::exchange(found, nullptr));
    error why;
    if (taken.peek()->kind == detail::signal::reply_error) {
      error* told = taken.get<error>(&why);
      return told ? *told : why;
    }
    return result<value>(taken.to_value());
  }

 private:
  process& self_;
  pid target_;
  value (*look_)(process&, bool);
  bool messages_;
};

value pid_list(const std::vector<pid>& of) {
  list out;
  out.reserve(of.size());
  for (const pid p : of) out.emplace_back(p);
  return value(std::move(out));
}

value pid_or_nil(pid p) { return p ? value(p) : value(); }

// A pid where that is known here, else [name, node]; nil for nobody.
value whom(process& self, const std::optional<address>& called) {
  if (!called) return {};
  if (!called->by_name()) return pid_or_nil(called->pid());
  if (called->node().empty() || called->node() == self.node().name()) {
    const auto holder = self.core().whereis(called->name());
    return holder ? value(*holder) : value(called->name());
  }
  list named;
  named.emplace_back(called->name());
  named.emplace_back(called->is_global() ? value() : value(called->node()));
  return value(std::move(named));
}

value look_inside(process& seen, bool messages) {
  detail::process_details about = detail::core::details(seen, messages ? message_limit : 0);
  list monitors;
  for (auto& [id, target] : about.monitors)
    monitors.push_back(map_of({{"monitor", id}, {"target", value(std::move(target))}}));
  map out;
  auto add = [&out](std::string_view key, value item) { out.emplace_back(value(key), std::move(item)); };
  add("name", std::move(about.name));
  add("at", std::move(about.waits_at));
  add("calls", whom(seen, about.calls));
  add("label", std::move(about.label));
  add("links", pid_list(about.links));
  add("monitors", value(std::move(monitors)));
  add("monitored_by", pid_list(about.monitored_by));
  add("group_leader", pid_or_nil(about.group_leader));
  add("parent", pid_or_nil(about.parent));
  add("trap_exits", about.trap_exits);
  add("held", about.held);
  add("metadata", value(std::move(about.metadata)));
  if (messages) {
    for (auto& one : about.messages) {
      if (internal::approximate_size(one, message_bytes + 1) > message_bytes) one = value(one.print(6, 1024));
    }
    add("messages", value(std::move(about.messages)));
  }
  return value(std::move(out));
}

value look_at_call(process& seen, bool) {
  const detail::process_details about = detail::core::details(seen, 0);
  if (!about.calls) return {};
  return map_of({{"pid", seen.id()}, {"to", whom(seen, about.calls)}, {"at", value(about.waits_at)}});
}

// From outside and inside, in the order of `keys`, or just `items` in theirs.
value select(const map& outside, const value& inside, const list& items, bool busy) {
  map out;
  auto take = [&](std::string_view key) {
    const auto at =
        std::find_if(outside.begin(), outside.end(), [&](const auto& entry) { return *entry.first.text() == key; });
    const value* found = at != outside.end() ? &at->second : inside.find(key);
    if (found) out.emplace_back(value(key), *found);
  };
  if (items.empty()) std::for_each(keys.begin(), keys.end(), take);
  for (const auto& item : items) take(*item.text());
  if (busy) out.emplace_back(value("busy"), value(true));
  return value(std::move(out));
}

}  // namespace

result<pid> find_process(node& where, const value& target) {
  pid wanted;
  if (const auto* p = target.process()) {
    wanted = *p;
  } else if (const auto* text = target.text(); text && !text->empty()) {
    if (text->front() != '<') return where.whereis(*text);
    auto parsed = pid::parse(*text);
    if (!parsed) return parsed.error();
    wanted = *parsed;
  } else {
    return error(errc::bad_argument, "a pid or a registered name expected, " + target.print(2, 80) + " given");
  }
  detail::core& home = where.core();
  if (!home.is_local(wanted)) {
    if (wanted.node() == where.name())
      return error(errc::stale, wanted.text() + " belongs to an earlier life of this node");
    return error(errc::bad_argument, wanted.text() + " is not of this node");
  }
  if (!home.exists(wanted)) return error(errc::noproc, wanted.text() + " has ended");
  return wanted;
}

task<result<value>> process_info(process& self, value target, list items) {
  for (const auto& item : items) {
    if (!item.text() || std::find(keys.begin(), keys.end(), *item.text()) == keys.end()) {
      co_return error(errc::bad_argument, "there is no item " + item.print(2, 80));
    }
  }
  auto wanted = find_process(self.node(), target);
  if (!wanted) co_return wanted.error();
  // Taken first: looking inside makes the process run.
  const auto seen = self.core().summary(*wanted);
  if (!seen) co_return error(errc::noproc, wanted->text() + " has ended");
  map outside{{value("pid"), value(*wanted)},
              {value("entry"), value(seen->entry)},
              {value("status"), value(detail::to_string(seen->status))},
              {value("queue"), value(seen->queued)},
              {value("memory"), value(seen->memory)},
              {value("reductions"), value(seen->reductions)}};
  const bool messages = std::find(items.begin(), items.end(), value("messages")) != items.end();
  auto inside = co_await look_awaiter(self, *wanted, look_inside, messages, std::chrono::seconds(1));
  if (!inside && inside.error() != errc::timeout) co_return inside.error();
  const bool busy = !inside;
  co_return select(outside, busy ? value() : *inside, items, busy);
}

task<list> calls(process& self) {
  list out;
  const time_point until = deadline_after(self.now(), most_time);
  std::size_t asked = 0;
  for (const pid one : self.core().processes()) {
    const auto seen = self.core().summary(one);
    if (!seen || seen->status != detail::process_status::waiting || one == self.id()) continue;
    if (++asked > most_asked || self.now() > until) break;
    auto inside = co_await look_awaiter(self, one, look_at_call, false, one_look);
    if (inside && !inside->is_nil()) out.push_back(std::move(*inside));
  }
  co_return out;
}

}  // namespace troupe::inspect
