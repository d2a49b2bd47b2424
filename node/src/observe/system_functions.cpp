#include "observe/system_functions.hpp"

#include <troupe/cluster.hpp>
#include <troupe/global.hpp>
#include <troupe/group.hpp>
#include <troupe/inspect.hpp>
#include <troupe/lock.hpp>
#include <troupe/node.hpp>
#include <troupe/trace.hpp>

#include "observe/log_writer.hpp"
#include "observe/observer.hpp"
#include "observe/registry_watch.hpp"
#include "observe/trace_process.hpp"
#include "runtime/own.hpp"

namespace troupe::internal {
namespace {

constexpr duration waits_time = std::chrono::seconds(3);  // less than a tool waits for its answer

using answer = task<result<value>>;
using body = answer (*)(process& self, list given);

error bad_argument(std::size_t number, std::string_view wanted, const value& given) {
  return {errc::bad_argument, "argument " + std::to_string(number) + ": " + std::string(wanted) + " expected, " +
                                  given.print(2, 80) + " given"};
}

result<inspect::process_list_options> list_options(const value& given) {
  inspect::process_list_options out;
  if (given.is_nil()) return out;
  const map* entries = given.entries();
  // Lua writes {} for an empty map and for an empty list.
  if (!entries)
    return given.items() && given.items()->empty() ? result<inspect::process_list_options>(out)
                                                   : bad_argument(1, "a map", given);
  for (const auto& [key, item] : *entries) {
    using sort = inspect::process_list_options::key;
    if (item.is_nil()) continue;
    if (key == value("sort")) {
      if (item == value("id")) out.sort = sort::id;
      else if (item == value("queue")) out.sort = sort::queue;
      else if (item == value("memory")) out.sort = sort::memory;
      else if (item == value("reductions")) out.sort = sort::reductions;
      else return bad_argument(1, "sort: id, queue, memory or reductions", item);
    } else if (key == value("limit")) {
      if (!item.integer() || *item.integer() < 0) return bad_argument(1, "limit: a whole number", item);
      out.limit = static_cast<std::size_t>(*item.integer());
    } else if (key == value("name")) {
      if (!item.text()) return bad_argument(1, "name: a text", item);
      out.name = *item.text();
    } else {
      return bad_argument(1, "sort, limit or name", key);
    }
  }
  return out;
}

answer ps(process& self, list given) {
  auto options = list_options(given[0]);
  if (!options) co_return options.error();
  auto listing = inspect::processes(self, *options);
  list found = co_await std::move(listing);
  co_return value(std::move(found));
}

answer info(process& self, list) { co_return inspect::node_info(self.node()); }

answer process_info(process& self, list given) {
  list items;
  if (const auto* asked = given[1].items()) items = *asked;
  else if (!given[1].is_nil()) co_return bad_argument(2, "a list of items", given[1]);
  auto looking = inspect::process_info(self, std::move(given[0]), std::move(items));
  auto out = co_await std::move(looking);
  co_return out;
}

answer calls(process& self, list) {
  auto looking = inspect::calls(self);
  list found = co_await std::move(looking);
  co_return value(std::move(found));
}

answer tree(process& self, list given) {
  auto walking = inspect::tree(self, std::move(given[0]));
  auto out = co_await std::move(walking);
  co_return out;
}

answer state(process& self, list given) {
  auto asking = inspect::state(self, std::move(given[0]));
  auto out = co_await std::move(asking);
  co_return out;
}

value local_names(process& self) {
  list out;
  for (const auto& [name, holder] : self.core().registered())
    out.push_back(map_of({{"name", value(name)}, {"pid", holder}}));
  return value(std::move(out));
}

value global_names(process& self) {
  list out;
  for (auto& [name, holder] : global::registered_names(self))
    out.push_back(map_of({{"name", std::move(name)}, {"pid", holder}, {"node", std::string(holder.node())}}));
  return value(std::move(out));
}

answer registry(process& self, list given) {
  if (given[0].is_nil() || given[0] == value("local")) co_return local_names(self);
  if (given[0] == value("global")) co_return global_names(self);
  if (given[0] == value("groups")) co_return group::list_groups(self.node());
  if (given[0] == value("locks")) {
    auto asking = lock::survey(self, waits_time);
    value out = co_await std::move(asking);
    co_return out;
  }
  if (given[0] == value("waits")) {
    auto asking = lock::waits(self, waits_time);
    value out = co_await std::move(asking);
    co_return out;
  }
  co_return error(errc::unsupported, "registry: this node knows local, global, groups, locks and waits; asked for " +
                                         given[0].print(2, 80));
}

answer nodes_of_class(process& self, list given) {
  node_class which = node_class::visible;
  if (!given[0].is_nil()) {
    auto named = given[0].text() ? parse_node_class(*given[0].text()) : std::nullopt;
    if (!named) co_return bad_argument(1, "visible, hidden, connected, this or known", given[0]);
    which = *named;
  }
  list out;
  for (std::string& name : nodes(self, which)) out.emplace_back(std::move(name));
  co_return value(std::move(out));
}

answer connect_to(process& self, list given) {
  if (!given[0].text()) co_return bad_argument(1, "a node", given[0]);
  auto joined = co_await connect(self, std::string(*given[0].text()));
  if (!joined) co_return joined.error();
  co_return value(true);
}

answer disconnect_from(process& self, list given) {
  if (!given[0].text()) co_return bad_argument(1, "a node", given[0]);
  co_return value(disconnect(self, *given[0].text()));
}

answer functions(process& self, list given) {
  if (!given[0].is_nil() && !given[0].text()) co_return bad_argument(1, "a text", given[0]);
  co_return value(inspect::functions(self.node().offers(), given[0].text() ? *given[0].text() : std::string()));
}

answer whereis(process& self, list given) {
  if (!given[0].text()) co_return bad_argument(1, "a name", given[0]);
  auto found = self.core().whereis(*given[0].text());
  if (!found) co_return found.error();
  co_return value(*found);
}

answer stop(process& self, list given) {
  auto* stopper = self.core().find<detail::node_stopper>();
  if (!stopper) co_return error(errc::unsupported, "this node is part of a program, which alone can stop it");
  if (!given[0].is_nil() && !given[0].text()) co_return bad_argument(1, "a text", given[0]);
  const duration within =
      stopper->request_stop(given[0].text() ? *given[0].text() : "asked by " + std::string(self.group_leader().node()));
  co_return value(within / std::chrono::milliseconds(1));
}

constexpr const char* guarded_text =
    " belongs to the node, which may go down with it: troupe exit --force, or true as third argument";

answer exit(process& self, list given) {
  auto target = inspect::find_process(self.node(), given[0]);
  if (!target) co_return target.error();
  const bool* force = given[2].boolean();
  if (!force && !given[2].is_nil()) co_return bad_argument(3, "true or false", given[2]);
  exit_reason reason = given[1].is_nil() ? exit_reason::kill() : exit_reason(std::move(given[1]));
  if (force && *force) {
    self.node().exit(*target, std::move(reason));
  } else if (detail::is_pillar(self.core(), *target)) {
    self.core().counters().exits_refused.fetch_add(1, std::memory_order_relaxed);
    co_return error(errc::not_allowed, target->text() + guarded_text);
  } else {
    self.exit(*target, std::move(reason));
  }
  co_return value(true);
}

answer send(process& self, list given) {
  auto target = inspect::find_process(self.node(), given[0]);
  if (!target) co_return target.error();
  self.send(*target, std::move(given[1]));
  co_return value(true);
}

answer logs(process& self, list given) {
  const auto* writer = dynamic_cast<const log_writer*>(self.core().log());
  if (!writer) co_return error(errc::unsupported, "this node keeps no log lines");
  if (!given[0].is_nil() && (!given[0].integer() || *given[0].integer() < 0))
    co_return bad_argument(1, "a whole number", given[0]);
  list out;
  for (auto& line : writer->recent(given[0].is_nil() ? 100 : static_cast<std::size_t>(*given[0].integer()))) {
    out.emplace_back(std::move(line));
  }
  co_return value(std::move(out));
}

// Tells the level; with an argument sets it first.
answer log_level_of(process& self, list given) {
  auto* writer = dynamic_cast<log_writer*>(self.core().log());
  if (!writer) co_return error(errc::unsupported, "this node's log has no level to set");
  if (!given[0].is_nil()) {
    if (!given[0].text()) co_return bad_argument(1, "a level", given[0]);
    auto level = parse_log_level(*given[0].text());
    if (!level) co_return level.error();
    writer->level(*level);
  }
  co_return value(to_string(writer->level()));
}

answer trace_stop(process& self, list) { co_return value(trace::stop_all(self.node())); }

answer trace_process(process& self, list given) {
  auto running = trace_entry(self, std::move(given[0]));
  co_await std::move(running);
  co_return value();
}

answer watch_registry(process& self, list given) {
  auto running = registry_watch(self, std::move(given[0]));
  co_await std::move(running);
  co_return value();
}

answer run_padded(process& self, value given, body work, std::size_t most) {
  list* items = given.items();
  if (!items || items->size() > most) {
    co_return error(errc::bad_argument, "at most " + std::to_string(most) + " argument(s) expected, " +
                                            std::to_string(items ? items->size() : 1) + " given");
  }
  items->resize(most < 1 ? 1 : most);
  auto running = work(self, std::move(*items));
  auto out = co_await std::move(running);
  co_return out;
}

}  // namespace

void offer_system_functions(catalogue& offers) {
  using kind = catalogue_entry::kind;
  auto offer = [&offers](std::string name, std::vector<std::string> arguments, std::string returns, body work,
                         std::string doc, kind what = kind::function) {
    const std::size_t most = arguments.size();
    offers.add({"troupe." + name, what, std::move(doc), std::move(arguments), std::move(returns),
                [work, most](process& self, value given) { return run_padded(self, std::move(given), work, most); }});
  };
  offer("ps", {"map"}, "list", ps,
        "ps({sort = \"id|queue|memory|reductions\", limit = n, name = glob}): the processes");
  offer("info", {}, "map", info, "info(): what this node is and has counted");
  offer("process_info", {"any", "list"}, "map", process_info, "process_info(process, items): one process from inside");
  offer("calls", {}, "list", calls, "calls(): the processes that wait for the answer of a call, and whose");
  offer("tree", {"any"}, "any", tree, "tree(supervisor): the supervision tree below it, or all of them");
  offer("registry", {"text"}, "any", registry,
        "registry(\"local|global|groups|locks|waits\"): names and pids; groups; who has and who waits for locks, or "
        "answers");
  offer("state", {"any"}, "any", state, "state(process): what a server holds");
  offer("nodes", {"text"}, "list", nodes_of_class, "nodes(\"visible|hidden|connected|this|known\"): connected nodes");
  offer("connect", {"text"}, "boolean", connect_to, "connect(node): connects this node to another one");
  offer("disconnect", {"text"}, "boolean", disconnect_from, "disconnect(node): ends the connection to it, as planned");
  offer("functions", {"text"}, "list", functions, "functions(prefix): what this node offers");
  offer("whereis", {"text"}, "pid", whereis, "whereis(name): the pid under a registered name");
  offer("stop", {"text"}, "integer", stop,
        "stop(why): asks the node's program to stop in order; within how many ms it is gone");
  offer(
      "exit", {"any", "any", "boolean"}, "boolean", exit,
      "exit(process, reason, force): sends an exit signal; \"kill\" when no reason is given. The node's own processes "
      "obey it only with force");
  offer("send", {"any", "any"}, "boolean", send, "send(process, message)");
  offer("logs", {"integer"}, "list", logs, "logs(n): the last lines of the log, 100 when not said");
  offer("log_level", {"text"}, "text", log_level_of, "log_level(level): tells the log's level, or sets it");
  offer("trace_stop", {}, "integer", trace_stop, "trace_stop(): ends every trace of this node; how many there were");
  offer("registry_watch", {"map"}, "nil", watch_registry,
        "tells the pid `to` what changes among names, groups and locks: {to, kinds, interval_ms}", kind::process);
  offer("trace", {"map"}, "nil", trace_process, "a trace session for the pid `to`: node/TRACE.md", kind::process);
}

}  // namespace troupe::internal
