#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <iostream>

#include <troupe/trace.hpp>

#include "observe/json.hpp"
#include "troupe/output.hpp"
#include "troupe/session.hpp"

namespace troupe::tool {
namespace {

using namespace std::chrono_literals;

// Ctrl-C, from the signal thread to the process that reads.
struct interrupted {
  TROUPE_MESSAGE(interrupted, "tool.interrupted")
};

struct job {
  std::string node;
  value spec;
  bool json = false, arity = false;
  trace::format_options how;
  duration patience{};
  std::atomic<std::uint64_t> reader{0};  // the id of the reading process, 0 before it runs
};

struct verdict {
  int status = internal::exit_ok;
  error why;
};

// A call with the number of its arguments in their place, as erlang:trace's `arity`.
value without_arguments(const value& event) {
  map out;
  for (const auto& [key, item] : *event.entries()) {
    if (key != value("arguments")) out.emplace_back(key, item);
    else out.emplace_back(value("arity"), value(static_cast<std::int64_t>(item.items() ? item.items()->size() : 0)));
  }
  return value(std::move(out));
}

void tell_event(const job& what, const trace::event& one) {
  const bool call = what.arity && one.what.entries() && one.what.text_at("kind") == "call";
  const value shown = call ? without_arguments(one.what) : one.what;
  emit((what.json ? internal::to_json(shown) : trace::format(shown, what.how)) + "\n");
}

void tell_started(const job& what, const trace::started& begun) {
  for (const std::string& pattern : begun.unoffered)
    std::cerr << "no function that " << what.node << " offers fits --calls " << pattern << "\n";
  if (what.json) return;
  std::cerr << "tracing " << begun.matched << (begun.matched == 1 ? " process" : " processes") << "; Ctrl-C ends it\n";
}

std::string cut_off(const job& what) {
  return what.node + " ended the trace: it stops, or somebody ended the trace's process";
}

// A session that is refused ends with {"not_allowed", "why"}.
error error_of(const exit_reason& reason) {
  const list* items = reason.term().items();
  if (items && items->size() >= 2 && (*items)[0].text() && (*items)[1].text()) {
    if (errc code = errc_from(*(*items)[0].text()); code != errc::none) return {code, *(*items)[1].text()};
  }
  return {errc::exited, reason.text()};
}

// Names and globs can be waited for, the pids of ended processes cannot.
error with_advice(error why, const job& what) {
  if (why != errc::noproc) return why;
  const list& asked = *what.spec.find("processes")->items();
  const bool named = std::any_of(asked.begin(), asked.end(), [](const value& each) { return each.text(); });
  return named ? error(errc::noproc, why.text() + " (--wait begins all the same)") : why;
}

// Spawns the session on the target and prints what it sends. The target ends the session when this process, and with it
// the tool, is gone.
task<> follow(process& self, job* what, verdict* out) {
  what->reader.store(self.id().id());
  map asked = what->spec.entries() ? *what->spec.entries() : map();
  asked.emplace_back(value("to"), value(self.id()));
  value arguments = list_of({value(std::move(asked))});
  auto spawning =
      spawn_values_on(self, what->node, "troupe.trace", std::move(arguments)).within(what->patience).monitored();
  auto made = co_await std::move(spawning);
  if (!made) {
    *out = {internal::exit_code(made.error()), made.error()};
    if (made.error() == errc::timeout)
      out->why = error(errc::timeout, what->node + " did not begin the trace in time (--timeout)");
    co_return;
  }
  pid session;
  for (;;) {
    auto got = co_await self.receive(session ? wait_forever : what->patience);
    if (!got) {
      *out = {internal::exit_timeout, error(errc::timeout, "the trace did not begin")};
      co_return;
    }
    if (auto* begun = got->get<trace::started>()) {
      session = begun->session;
      tell_started(*what, *begun);
    } else if (auto* one = got->get<trace::event>()) {
      tell_event(*what, *one);
      self.send(session, trace::more(1));
    } else if (auto* gap = got->get<trace::lost>()) {
      std::cerr << gap->events << " events were lost: they came faster than this terminal reads\n";
    } else if (auto* end = got->get<trace::done>()) {
      if (end->reason == "ended") {  // not by us and not by its budget
        *out = {internal::exit_unreachable, error(errc::noconnection, cut_off(*what))};
        co_return;
      }
      if (!what->json) std::cerr << end->text << "\n";
      co_return;
    } else if (got->get<interrupted>()) {
      self.send(session, trace::stop_request(true));
    } else if (down* gone = got->get<down>()) {
      const bool ended = session && (gone->reason.is("killed") || gone->reason.is("shutdown"));
      error why = gone->reason.is("noconnection") ? error(errc::noconnection, what->node + " is gone")
                  : ended                         ? error(errc::noconnection, cut_off(*what))
                                                  : with_advice(error_of(gone->reason), *what);
      *out = {internal::exit_code(why), why};
      co_return;
    }
  }
}

// "100/1000": events and milliseconds.
result<value> parse_rate(const std::string& text) {
  std::size_t slash = text.find('/');
  auto number = [](const std::string& digits) {
    return !digits.empty() && digits.size() < 10 && digits.find_first_not_of("0123456789") == std::string::npos;
  };
  std::string events = text.substr(0, slash);
  std::string ms = slash == std::string::npos ? "1000" : text.substr(slash + 1);
  if (!number(events) || !number(ms))
    return error(errc::bad_argument, "--rate: EVENTS/MILLISECONDS expected, such as 100/1000");
  return list_of({value(std::stoll(events)), value(std::stoll(ms))});
}

result<value> spec_of(const parsed_options& given) {
  map spec;
  auto put = [&](const char* key, value item) { spec.emplace_back(value(key), std::move(item)); };
  list processes;
  for (const std::string& word : given.all("process")) processes.push_back(parse_argument(word));
  if (given.has("all")) processes.emplace_back("all");
  if (processes.empty()) return error(errc::bad_argument, "whose? --process NAME, or --all with --force");
  put("processes", value(std::move(processes)));
  for (const char* flag : {"receive", "send", "life", "returns", "force", "wait"}) {
    if (given.has(flag)) put(flag, value(true));
  }
  list calls;
  for (const std::string& word : given.all("calls")) calls.emplace_back(word);
  if (!given.has("receive") && !given.has("send") && !given.has("life") && calls.empty()) {
    return error(errc::bad_argument, "what? --receive, --send, --calls GLOB or --life");
  }
  if (!calls.empty()) put("calls", value(std::move(calls)));
  if (given.has("limit")) put("limit", value(given.count("limit")));
  if (given.has("seconds")) put("seconds", value(given.count("seconds")));
  if (given.has("rate")) {
    auto rate = parse_rate(given.text("rate"));
    if (!rate) return rate.error();
    put("rate", std::move(*rate));
  }
  return value(std::move(spec));
}

int end_all(const parsed_options& given) {
  return ask_and_show("trace", given, "troupe.trace_stop", {}, [](const value& count) {
    const std::string number = count.print();
    return "ended " + number + (number == "1" ? " trace\n" : " traces\n");
  });
}

// An option that would be without effect is a mistake.
bool stop_alone(const parsed_options& given) {
  static constexpr const char* of_a_trace[] = {"process", "receive", "send", "calls", "returns", "life", "limit",
                                               "rate",    "seconds", "all",  "force", "arity",   "utc",  "wait"};
  return std::none_of(std::begin(of_a_trace), std::end(of_a_trace), [&](const char* key) { return given.has(key); });
}

int run(const parsed_options& given) {
  if (given.has("stop") && stop_alone(given)) return end_all(given);
  result<value> spec =
      given.has("stop") ? result<value>(errc::bad_argument, "--stop goes with no option of a trace") : spec_of(given);
  if (!spec) {
    std::cerr << "troupe trace: " << spec.error().text() << "\n`troupe trace --help` says more.\n";
    return internal::exit_usage;
  }
  int status = internal::exit_ok;
  auto here = session::open("trace", given, status);
  if (!here) return status;
  job what;
  what.node = here->target();
  what.spec = std::move(*spec);
  what.json = given.has("json");
  what.arity = given.has("arity");
  what.how.utc = given.has("utc");
  what.patience = here->timeout();
  verdict out;
  here->on_interrupt([node = &here->node(), wanted = &what] {
    std::uint64_t id = wanted->reader.load();
    if (id == 0) _exit(130);
    node->send(pid(node->life(), id), interrupted());
  });
  auto ended = here->run(wait_forever, [wanted = &what, to = &out](process& self) -> task<> {
    auto following = follow(self, wanted, to);
    co_await std::move(following);
  });
  here->on_interrupt({});
  if (!ended) return here->fail(ended.error());
  if (out.why.code() != errc::none) (void)here->fail(out.why);
  return out.status;
}

}  // namespace

command trace_command() {
  command_table rows;
  rows.name = "trace";
  rows.summary = "Shows live what processes of a node receive, send and call, always under a budget.";
  rows.arguments = {node_argument()};
  rows.options = with_session(
      {{"-p,--process", takes::text, "PROCESS", "a registered name, a glob of names, a pid, new", true},
       {"--receive", takes::nothing, "", "messages that they receive"},
       {"--send", takes::nothing, "", "messages that they send"},
       {"--calls", takes::text, "GLOB", "calls that they make: a function, a module, a glob of both", true},
       {"--returns", takes::nothing, "", "with --calls: the results too"},
       {"--arity", takes::nothing, "", "with --calls: the number of their arguments instead of these"},
       {"--life", takes::nothing, "", "that they spawn, exit, take names"},
       {"--wait", takes::nothing, "", "begin although no process matches, and wait for those that come"},
       {"--utc", takes::nothing, "", "times of day in UTC, not local"},
       {"--limit", takes::count, "N", "end after so many events; 10000 if not said"},
       {"--rate", takes::text, "N/MS", "end when more than N come in MS milliseconds; 1000/1000 if not said"},
       {"--seconds", takes::count, "S", "end after so long; 60 if not said"},
       {"--all", takes::nothing, "", "every process: needs --force"},
       {"--force", takes::nothing, "", "yes, every process"},
       {"--stop", takes::nothing, "", "end every trace of the node, whoever began it"}});
  rows.notes =
      "The node ends the trace when this tool is gone, however it went. Events that this terminal reads too slowly for "
      "are counted and left out.";
  rows.example =
      "troupe trace exercise --process exercise.calculator --receive --limit 20\n"
      "troupe trace exercise --process exercise.user --calls exercise.calculator --returns\n"
      "troupe trace exercise --stop";
  return {std::move(rows), run};
}

}  // namespace troupe::tool
