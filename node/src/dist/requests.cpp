// What a process asks of another node, or of its own, and how the answer comes back to it.
#include <troupe/rpc.hpp>

#include <troupe/node.hpp>

#include "dist/distribution.hpp"
#include "dist/serving.hpp"
#include "runtime/place.hpp"
#include "runtime/remote_support.hpp"

namespace troupe {

using internal::distribution;
using internal::op;
using internal::work_order;

namespace detail {
namespace {

using kind = remote_request::kind;

work_order order_of(process& self, remote_request& what, std::uint64_t id) {
  work_order out;
  out.what = what.what == kind::spawn ? op::spawn : op::rpc;
  out.from = id ? self.id() : pid();
  out.id = id;
  out.entry = what.entry;
  out.arguments = std::move(what.arguments);
  out.leader = self.group_leader() ? self.group_leader() : self.core().default_leader();
  out.link = what.link;
  return out;
}

bool is_here(const process& self, const std::string& node) { return node.empty() || node == self.core().life()->name; }

void reply_here(process& self, std::uint64_t id, value content) {
  envelope* reply = make_envelope<value>(signal::reply, std::move(content));
  reply->id = id;
  self.core().deliver(self.id(), reply);
}

void start_here(process& self, remote_request& what, std::uint64_t id) {
  core& home = self.core();
  work_order order = order_of(self, what, id);
  switch (what.what) {
    case kind::connect: reply_here(self, id, true); return;
    case kind::rpc: internal::serve_rpc(home, std::move(order)); return;
    case kind::spawn: break;
  }
  order.watch = what.monitor ? 1 : 0;
  auto made = internal::serve_spawn(home, order, &self, false);
  if (!made) {
    home.answer_call(self.id(), id, made.error());
    return;
  }
  what.watch = made->monitor;
  reply_here(self, id, made->process);
}

}  // namespace

void start_request(process& self, remote_request& what, wait_state& wait, duration limit) {
  core& home = self.core();
  wait.reply_id = self.make_ref_id();
  wait.deadline = wait_deadline(self, limit);
  if (is_here(self, what.node)) {
    start_here(self, what, wait.reply_id);
    return;
  }
  auto* network = home.find<distribution>();
  if (!network) {
    home.answer_call(self.id(), wait.reply_id,
                     error(errc::noconnection, "this node is not alive: it has no name and no network"));
    return;
  }
  if (what.what == kind::connect) {
    network->connect(what.node, self.id(), wait.reply_id);
    return;
  }
  work_order order = order_of(self, what, wait.reply_id);
  if (what.what == kind::spawn && what.monitor) {
    what.watch = self.make_ref();
    order.watch = what.watch.id();
    expect_monitor(self, what.watch);
  }
  network->request(what.node, order, self.id());
}

void cast_request(process& self, remote_request& what) {
  work_order order = order_of(self, what, 0);
  core& home = self.core();
  if (is_here(self, what.node)) internal::serve_rpc(home, std::move(order));
  else if (auto* network = home.find<distribution>()) network->request(what.node, order, self.id());
  else home.counters().dead_letters_noconnection.fetch_add(1, std::memory_order_relaxed);
}

error request_failure(process& self, remote_request& what, envelope* reply, const wait_state& wait) {
  if (what.watch && !is_here(self, what.node)) settle_monitor(self, what.watch, pid());
  if (reply) {
    message taken(reply);
    error why(errc::bad_message, "an answer that is none");
    if (reply->kind == signal::reply_error) {
      if (error* told = taken.get<error>(&why)) return std::move(*told);
    }
    return why;
  }
  if (!is_here(self, what.node)) {
    if (auto* network = self.core().find<distribution>()) network->abandon(what.node, self.id(), wait.reply_id);
  }
  const std::string asked = what.what == kind::connect ? what.node : what.entry + " on " + what.node;
  return error(errc::timeout, asked + " did not answer in time" + at_place(wait.where))
      .set_maybe_executed(what.what != kind::connect);
}

result<spawned> spawn_outcome(process& self, const remote_request& what, message& reply) {
  error why;
  const pid* child = reply.get<pid>(&why);
  if (what.watch && !is_here(self, what.node)) settle_monitor(self, what.watch, child ? *child : pid());
  if (!child) return why;
  return spawned{*child, what.watch};
}

}  // namespace detail

request_awaiter<void> connect(process& self, std::string name, std::source_location where) {
  return {self, detail::remote_request(detail::remote_request::kind::connect, std::move(name), {}, {}), where};
}

namespace rpc {

request_awaiter<value> call_values(process& self, std::string node, std::string function, value arguments,
                                   std::source_location where) {
  return {self,
          detail::remote_request(detail::remote_request::kind::rpc, std::move(node), std::move(function),
                                 std::move(arguments)),
          where};
}

}  // namespace rpc

spawn_awaiter spawn_values_on(process& self, std::string node, std::string entry, value arguments,
                              std::source_location where) {
  return {self,
          detail::remote_request(detail::remote_request::kind::spawn, std::move(node), std::move(entry),
                                 std::move(arguments)),
          where};
}

// -- cluster.hpp

namespace {

std::vector<std::string> nodes_of(const detail::core& core, node_class which) {
  if (auto* network = core.find<distribution>()) return network->nodes(which);
  std::vector<std::string> alone;
  if (has(which, node_class::current | node_class::known)) alone.push_back(core.life()->name);
  return alone;
}

bool disconnect_from(const detail::core& core, std::string_view name) {
  auto* network = core.find<distribution>();
  return network && network->disconnect(name);
}

}  // namespace

std::optional<node_class> parse_node_class(std::string_view word) noexcept {
  if (word == "visible") return node_class::visible;
  if (word == "hidden") return node_class::hidden;
  if (word == "connected") return node_class::connected;
  if (word == "this") return node_class::current;
  if (word == "known") return node_class::known;
  return std::nullopt;
}

std::vector<std::string> nodes(const node& where, node_class which) { return nodes_of(where.core(), which); }
std::vector<std::string> nodes(const process& self, node_class which) { return nodes_of(self.core(), which); }
bool disconnect(node& where, std::string_view name) { return disconnect_from(where.core(), name); }
bool disconnect(process& self, std::string_view name) { return disconnect_from(self.core(), name); }

void leave(node& where) {
  if (auto* network = where.core().find<distribution>()) network->leave();
}
void leave(process& self) { leave(self.node()); }

void allow_nodes(node& where, std::vector<std::string> allow, std::vector<std::string> deny) {
  if (auto* network = where.core().find<distribution>()) network->admit_only(std::move(allow), std::move(deny));
}

void monitor_nodes(process& self, bool on, node_class which) {
  if (auto* network = self.core().find<distribution>()) network->monitor_nodes(self.id(), on, which);
}

void monitor_node(process& self, std::string_view name, bool on) {
  if (auto* network = self.core().find<distribution>()) {
    network->monitor_node(self.id(), std::string(name), on);
  } else if (on) {
    list event{value("nodedown"), value(name),
               map_of({{"reason", "noconnection"}, {"text", "this node is not alive"}})};
    self.send(self.id(), value(std::move(event)));
  }
}

}  // namespace troupe
