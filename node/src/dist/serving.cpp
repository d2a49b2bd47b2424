#include "dist/serving.hpp"

#include <algorithm>

#include <troupe/expect.hpp>

#include "runtime/own.hpp"
#include "runtime/remote_support.hpp"

namespace troupe::internal {

namespace {

// Tells a held process that its link and monitor are in place.
struct start_work {
  bool go = true;
  TROUPE_MESSAGE(start_work, "troupe.start", go)
};

error no_such(const detail::core& core, const std::string& name, const catalogue_entry* found) {
  std::string text = "\"" + name + "\" is not offered by " + core.life()->name;
  if (found)
    text = "\"" + name + "\" is a " + (found->what == catalogue_entry::kind::process ? "process" : "function") +
           " of the catalogue";
  return {errc::undef, std::move(text)};
}

const catalogue_entry* find_entry(const detail::core& core, const std::string& name, catalogue_entry::kind kind,
                                  error& why) {
  const catalogue_entry* found = core.options().offers.find(name);
  if (found && found->what == kind) return found;
  why = no_such(core, name, found);
  return nullptr;
}

// One more runs, until this is gone.
class counted {
 public:
  explicit counted(std::shared_ptr<std::atomic<std::size_t>> running) : running_(std::move(running)) {
    if (running_) running_->fetch_add(1, std::memory_order_relaxed);
  }
  counted(counted&&) noexcept = default;
  counted& operator=(counted&&) = delete;
  ~counted() {
    if (!running_) return;
    const std::size_t before = running_->fetch_sub(1, std::memory_order_relaxed);
    TROUPE_EXPECT(before > 0, "running", before);
  }

 private:
  std::shared_ptr<std::atomic<std::size_t>> running_;
};

// The one handler of exceptions beside the process's entry: who called must learn that, and why, its function threw.
// The process still ends with it, so that it is reported here too.
task<> run_rpc(process& self, const catalogue_entry* entry, value arguments, message call, counted) {
  const bool traced = detail::calls_traced(self);
  if (traced) {
    list given = arguments.items() ? *arguments.items() : list{};
    detail::trace_call(self, entry->name, std::move(given));
  }
  const std::size_t given = argument_count(arguments);
  auto running = entry->run(self, std::move(arguments));
  try {
    auto got = co_await std::move(running);
    if (traced) detail::trace_return(self, entry->name, got ? *got : to_value(got.error()));
    if (got) self.reply(call, std::move(*got));
    else self.reply_error(call, about_arguments(*entry, given, std::move(got.error())));
  } catch (const std::exception& thrown) {
    error why(errc::exception, detail::exception_type_name() + ": " + thrown.what());
    why.set_maybe_executed(true);
    self.reply_error(call, std::move(why));
    throw;
  }
}

task<> run_entry(process& self, const catalogue_entry* entry, value arguments, bool held, counted) {
  if (held) {
    auto go = co_await self.receive<start_work>(wait_forever);
    static_cast<void>(go.or_exit());
  }
  auto running = entry->run(self, std::move(arguments));
  auto ended = co_await std::move(running);
  static_cast<void>(ended.or_exit());
}

// A wrong number of arguments is told to who asked; a wrong type ends the process, whose reason says so.
result<void> check_arguments(const catalogue_entry& entry, const value& arguments) {
  const list* items = arguments.items();
  const bool open = !entry.arguments.empty() && entry.arguments.back().ends_with("...");
  if (!items) return error(errc::bad_argument, "a list of arguments expected");
  if (!open && items->size() != entry.arguments.size()) {
    return about_arguments(
        entry, items->size(),
        error(errc::bad_argument, std::to_string(entry.arguments.size()) + " argument(s) expected, " +
                                      std::to_string(items->size()) + " given"));
  }
  return entry.accepts ? entry.accepts(arguments) : result<void>();
}

// What tools ask is the node's own work, which users' processes do not hold up. Not the scripts, and not what calls
// back into the program: these are users' slices.
bool is_own(const catalogue_entry& entry) noexcept {
  const std::string_view name = entry.name;
  return name.starts_with("troupe.") && !name.starts_with("troupe.lua") && name != "troupe.config_set";
}

template <class Body, class... Args>
result<spawned> start_work_of(const catalogue_entry& entry, detail::core& core, process* parent,
                              spawn_options&& options, Body* body, Args&&... args) {
  if (is_own(entry)) {
    return detail::spawn_own(detail::own_kind::worker, core, parent, std::move(options), body,
                             std::forward<Args>(args)...);
  }
  return detail::spawn_in(core, parent, std::move(options), body, std::forward<Args>(args)...);
}

}  // namespace

std::size_t argument_count(const value& arguments) noexcept {
  return arguments.items() ? arguments.items()->size() : 0;
}

error about_arguments(const catalogue_entry& entry, std::size_t given, error why) {
  const bool of_them = given != entry.arguments.size() || why.text().starts_with("argument ");
  if (why != errc::bad_argument || !of_them) return why;
  std::string text = entry.name + "(";
  for (std::size_t i = 0; i < entry.arguments.size(); ++i) text += (i > 0 ? ", " : "") + entry.arguments[i];
  return {errc::bad_argument, text + "): " + why.text()};
}

void serve_rpc(detail::core& core, work_order order, std::shared_ptr<std::atomic<std::size_t>> running) {
  error why;
  const catalogue_entry* entry = find_entry(core, order.entry, catalogue_entry::kind::function, why);
  if (!entry) {
    if (order.from) core.answer_call(order.from, order.id, std::move(why));
    else if (core.log()) logger(core.log()).warning("cast to an unknown function", {{"function", order.entry}});
    return;
  }
  message call;
  if (order.from) {
    detail::envelope* e = detail::make_envelope<value>(detail::signal::call);
    e->from = order.from;
    e->id = order.id;
    e->next = reinterpret_cast<detail::envelope*>(&core);  // a taken call: dropped unanswered, it says so to the caller
    call = message(e);
  }
  spawn_options options;
  options.group_leader = order.leader;
  options.entry = entry->name.c_str();
  auto made = start_work_of(*entry, core, nullptr, std::move(options), &run_rpc, entry, std::move(order.arguments),
                            std::move(call), counted(std::move(running)));
  if (made) return;
  if (call && order.from) {  // not even a process for it
    call.peek()->replied = true;
    core.answer_call(order.from, order.id, made.error());
  }
}

result<spawned> serve_spawn(detail::core& core, const work_order& order, process* parent, bool held,
                            std::shared_ptr<std::atomic<std::size_t>> running) {
  error why;
  const catalogue_entry* entry = find_entry(core, order.entry, catalogue_entry::kind::process, why);
  if (!entry) return why;
  if (auto fits = check_arguments(*entry, order.arguments); !fits) return fits.error();
  spawn_options options;
  options.group_leader = order.leader;
  options.entry = entry->name.c_str();
  options.link = parent && order.link;
  options.monitor = parent && order.watch;
  return start_work_of(*entry, core, parent, std::move(options), &run_entry, entry, order.arguments, held,
                       counted(std::move(running)));
}

void release_held(detail::core& core, pid child) {
  core.deliver(child, detail::make_envelope<start_work>(detail::signal::message));
}

}  // namespace troupe::internal
