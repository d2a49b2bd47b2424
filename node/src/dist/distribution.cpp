#include "dist/distribution.hpp"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <utility>

namespace troupe::internal {

distribution::distribution(detail::core& core, distribution_options options)
    : core_(core),
      options_(std::move(options)),
      numbers_(core.random()),
      allow_(core.options().allow_nodes),
      deny_(core.options().deny_nodes) {}

distribution::~distribution() {
  core_.set_router(nullptr);
  stopping_.store(true);
  leading_.reset();
  // What is posted later finds nobody; what runs on the loop now has ended when this returns.
  options_.loop->run([alive = alive_] { *alive = false; });
  hub_.reset();
}

void distribution::post(std::move_only_function<void()> work) {
  options_.loop->post([alive = alive_, work = std::move(work)]() mutable {
    if (*alive) work();
  });
}

result<void> distribution::start() {
  const node_options& node = core_.options();
  bus::hub_options hub;
  hub.self.name = core_.life()->name;
  hub.self.creation = core_.life()->creation;
  hub.self.hidden = node.hidden || node.tool;
  hub.self.tool = node.tool;
  hub.self.application = node.application;
  hub.self.features = {"signals", "chunks"};
  hub.self.features.insert(hub.self.features.end(), options_.features.begin(), options_.features.end());
  hub.self.needs = {"signals"};
  hub.security.cookie = options_.cookie;
  hub.security.plain_text_allowed = node.plain_text;
  if (options_.claim) hub.security.control_key = options_.claim->control_key();
  hub.limits = node.wire;
  hub.random = std::shared_ptr<random_source>(std::shared_ptr<void>(), &core_.random());  // the core outlives the hub
  hub.log = core_.log();
  hub.transport = std::move(options_.transport);
  hub.queue_bytes = options_.queue_bytes * 2;
  hub.reserve_bytes = options_.queue_bytes * 2;
  auto made = bus::hub::make(std::move(hub), *this);
  if (!made) return made.error();
  hub_ = std::move(*made);
  core_.set_router(this);
  leading_ = std::make_unique<leading>(core_.shared_scheduler(), options_.loop);
  return {};
}

result<void> distribution::open() {
  const node_options& node = core_.options();
  result<void> listening;
  // On the loop's thread: nobody is met before all endpoints are known, which a node is told of then.
  options_.loop->run([&] {
    std::vector<bus::endpoint> wanted;
    if (options_.claim && !node.tool) wanted.push_back(options_.claim->ipc());
    wanted.insert(wanted.end(), options_.listen.begin(), options_.listen.end());
    for (const bus::endpoint& where : wanted) {
      auto bound = hub_->listen(where);
      if (!bound) {
        listening = error(bound.error().code(), "cannot listen on " + where.text() + ": " + bound.error().text());
        return;
      }
      endpoints_.push_back(std::move(*bound));
      if (core_.log()) logger(core_.log()).info("listening", {{"endpoint", endpoints_.back().text()}});
    }
    // A list of peers that all nodes share names each of them.
    for (const std::string& name : options_.wanted) {
      if (name != core_.life()->name) want(make(name), wish::always);
    }
  });
  if (!listening || !options_.claim || node.tool) return listening;
  if (auto announced = announce(); !announced) return announced;
  options_.loop->run([this] { look_after_files(); });
  return {};
}

result<void> distribution::announce() {
  const node_options& node = core_.options();
  bus::node_entry entry;
  entry.creation = core_.life()->creation;
  entry.endpoints = endpoints_;
  entry.os_pid = ::getpid();
  entry.application = node.application;
  entry.version = node.version;
  return options_.claim->announce(std::move(entry));
}

void distribution::look_after_files() {
  using loss = bus::name_claim::loss;
  constexpr duration pause = std::chrono::seconds(1);
  if (stopping_) return;
  const bus::endpoint& ipc = options_.claim->ipc();
  auto missing = options_.claim->look_after();
  result<void> done;
  if (!missing) done = missing.error();
  if (missing && *missing == loss::socket) {
    hub_->unlisten(ipc);
    if (auto bound = hub_->listen(ipc); !bound) done = bound.error();
  }
  if (done && *missing != loss::none) done = announce();
  const bool told = std::exchange(files_missing_, !done);
  logger log(core_.log());
  if (!done && !told) {
    log.error("this node's files are missing, and tools and nodes of this host do not find it",
              {{"reason", value(done.error().message())}});
  } else if (done && (told || *missing != loss::none)) {
    log.warning("this node's files were missing: it has announced itself again",
                {{"folder", value(std::filesystem::path(ipc.host).parent_path().string())}});
  }
  files_timer_ = options_.loop->at(options_.loop->now() + pause, [this, alive = alive_] {
    if (*alive) look_after_files();
  });
}

void distribution::stop(time_point deadline) {
  if (stopping_.exchange(true) || !hub_) return;
  leading_.reset();
  const duration left = std::max(deadline - core_.clock().now(), duration::zero());
  // At least a moment: a goodbye that does not leave makes a planned stop look like a crash.
  const auto within = std::clamp(std::chrono::duration_cast<std::chrono::milliseconds>(left),
                                 std::chrono::milliseconds(100), std::chrono::milliseconds(1000));
  // What the last processes sent goes first.
  options_.loop->run([this] {
    if (files_timer_ != 0) options_.loop->cancel(files_timer_);
    for (auto& [id, connection] : connections_) {
      std::lock_guard lock(connection.of->mutex);
      if (connection.of->state == peer_state::up) flush_locked(*connection.of);
    }
  });
  hub_->stop(within);
}

std::vector<std::string> distribution::nodes(node_class which) const {
  std::vector<std::string> out;
  const bool known = has(which, node_class::known);
  if (known || has(which, node_class::current)) out.push_back(core_.life()->name);
  std::shared_lock lock(peers_mutex_);
  for (const auto& [name, p] : peers_) {
    std::lock_guard inner(p->mutex);
    const bool hidden = p->info.who.hidden || p->info.who.tool;
    const bool up = p->state == peer_state::up && p->shown;
    const bool fits = up && has(which, hidden ? node_class::hidden : node_class::visible);
    if (fits || (known && p->state != peer_state::idle)) out.push_back(name);
  }
  lock.unlock();
  std::sort(out.begin(), out.end());
  return out;
}

bool distribution::disconnect(std::string_view node) {
  peer_ptr p = find(node);
  if (!p) return false;
  std::lock_guard lock(p->mutex);
  if (p->state != peer_state::up) return false;
  p->wanted = wish::none;
  flush_locked(*p);
  hub_->close(p->info.id, error(errc::closed, "disconnected"));
  return true;
}

error distribution::last_failure(std::string_view node) const {
  peer_ptr p = find(node);
  if (!p) return {};
  std::lock_guard lock(p->mutex);
  return p->last_failure;
}

void distribution::monitor_nodes(pid subscriber, bool on, node_class which) {
  std::lock_guard lock(subscribers_mutex_);
  std::erase_if(subscribers_, [&](const subscription& s) {
    return !core_.exists(s.who) || (!on && s.who == subscriber && s.which == which);
  });
  if (on) subscribers_.push_back({subscriber, which});
}

void distribution::monitor_node(pid watcher, const std::string& node, bool on) {
  if (node == core_.life()->name) return;  // it is never lost to itself
  for (;;) {
    peer_ptr p = on ? make(node) : find(node);
    if (!p) return;
    std::lock_guard lock(p->mutex);
    if (p->gone) continue;
    auto& watchers = p->owed.node_watchers;
    if (!on) {
      auto one = std::find(watchers.begin(), watchers.end(), watcher);
      if (one != watchers.end()) watchers.erase(one);
      return;
    }
    // Watchers that have ended leave no growth behind.
    if (watchers.size() == watchers.capacity()) std::erase_if(watchers, [this](pid w) { return !core_.exists(w); });
    watchers.push_back(watcher);
    if (p->state == peer_state::idle) begin_dial(p);
    return;
  }
}

result<distribution*> attach_distribution(detail::core& core, distribution_options options) {
  if (core.life()->name == nonode) return error(errc::bad_name, "a node without a name has no network");
  distribution& made = core.attach(std::make_unique<distribution>(core, std::move(options)));
  if (auto started = made.start(); !started) return started.error();
  return &made;
}

}  // namespace troupe::internal
