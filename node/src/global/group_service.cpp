#include "global/group_service.hpp"

#include <algorithm>

#include <troupe/expect.hpp>
#include <troupe/node.hpp>

#include "global/group_keeper.hpp"
#include "global/membership.hpp"
#include "runtime/own.hpp"

namespace troupe::internal {
namespace {

constexpr std::size_t most_scopes = 1000;

error no_scope(std::string_view scope) {
  return {errc::not_found, "no scope \"" + std::string(scope) + "\" on this node: group::start_scope"};
}

}  // namespace

group_service::group_service(detail::core& core) : core_(core) { state_.scopes.emplace("pg", group_table()); }

group_service::~group_service() {
  if (network_) network_->unwatch(*this);
}

result<void> group_service::start() {
  respawn();
  network_ = core_.find<distribution>();
  // Hidden nodes and tools have groups of their own.
  if (core_.options().hidden || core_.options().tool) network_ = nullptr;
  if (network_) network_->watch(*this);
  return {};
}

void group_service::stop(time_point) {
  std::lock_guard lock(mutex_);
  stopping_ = true;
}

void group_service::respawn() {
  for (;;) {
    {
      std::lock_guard lock(mutex_);
      if (stopping_) return;
    }
    spawn_options options;
    options.entry = groups_name;
    auto life = std::make_shared<std::atomic<int>>(group_keeper_guard::starting);
    auto made = detail::spawn_own(detail::own_kind::pillar, core_, nullptr, std::move(options), &keep_groups, this,
                                  group_keeper_guard(this, life));
    // No process: the node is stopping, or full. Its own table goes on; nobody tells the other nodes.
    if (!made || life->exchange(group_keeper_guard::running) != group_keeper_guard::gone) return;
  }
}

// Everything that was posted to the one before is void: the new one reads the table.
void group_service::adopt(pid keeper) {
  std::lock_guard lock(mutex_);
  keeper_ = keeper;
  for (const auto& [id, session] : state_.sessions) post(groups_peer(id, session, true));
}

template <class M>
void group_service::post(M what) {
  if (keeper_) core_.deliver(keeper_, detail::make_envelope<M>(detail::signal::message, std::move(what)));
}

group_table* group_service::find(std::string_view scope) {
  const auto found = state_.scopes.find(scope);
  return found == state_.scopes.end() ? nullptr : &found->second;
}

// Under the mutex: who monitors hears in the order in which the table changes.
void group_service::tell(const std::string& scope, bool joined, const value& group, const std::vector<pid>& members) {
  if (state_.subscriptions.empty() || members.empty()) return;
  const std::string key = group_key(group);
  list who;
  for (const pid one : members) who.emplace_back(one);
  for (const auto& [id, one] : state_.subscriptions) {
    if (one.scope != scope || (!one.group.empty() && one.group != key)) continue;
    list event{value(ref(core_.life(), id)), value(joined ? "join" : "leave"), group, value(who)};
    core_.deliver(one.who, detail::make_envelope<value>(detail::signal::message, value(std::move(event))));
  }
}

void group_service::post_change(const std::string& scope, const char* what, const value& group,
                                const std::vector<pid>& members) {
  post(groups_tell(scope, what, group, members, ++state_.version));
}

void group_service::watch(const std::vector<pid>& who) {
  for (const pid one : who) post(groups_watch(one));
}

// -- what this node's processes do

result<void> group_service::start_scope(std::string_view scope) {
  if (scope.empty() || scope.size() > 255) return error(errc::bad_name, "a scope has a name of 1 to 255 bytes");
  std::lock_guard lock(mutex_);
  if (find(scope)) return {};
  if (state_.scopes.size() >= most_scopes) return error(errc::system_limit, "1,000 scopes are there");
  state_.scopes.emplace(std::string(scope), group_table());
  post(groups_scope(std::string(scope)));
  return {};
}

result<void> group_service::join(std::string_view scope, const value& group, const std::vector<pid>& members) {
  for (const pid one : members) {
    if (!core_.is_local(one))
      return error(errc::not_allowed, one.text() + " belongs to another node, which may join it");
    if (!core_.exists(one)) return error(errc::noproc, one.text() + " has ended");
  }
  std::lock_guard lock(mutex_);
  group_table* table = find(scope);
  if (!table) return no_scope(scope);
  if (members.empty()) return {};
  std::vector<pid> fresh;
  for (const pid one : members) {
    if (!table->has_local(one)) fresh.push_back(one);
  }
  table->join(group, members);
  tell(std::string(scope), true, group, members);
  post_change(std::string(scope), "join", group, members);
  watch(fresh);
  return {};
}

result<void> group_service::leave(std::string_view scope, const value& group, const std::vector<pid>& members) {
  std::lock_guard lock(mutex_);
  group_table* table = find(scope);
  if (!table) return no_scope(scope);
  const std::vector<pid> left = table->leave(group, members);
  if (left.empty()) return error(errc::not_found, "not a member of " + group.print(4, 100));
  tell(std::string(scope), false, group, left);
  post_change(std::string(scope), "leave", group, left);
  return {};
}

result<void> group_service::create(std::string_view scope, const value& group, bool there) {
  std::lock_guard lock(mutex_);
  group_table* table = find(scope);
  if (!table) return no_scope(scope);
  const bool changed = there ? table->create(group) : table->uncreate(group);
  if (changed) post_change(std::string(scope), there ? "create" : "delete", group, {});
  if (!changed && !there) return error(errc::not_found, group.print(4, 100) + " was not created");
  return {};
}

result<void> group_service::subscribe(pid who, ref monitor, std::string_view scope, const value* group,
                                      const std::function<void(const group_table&)>& look) {
  std::lock_guard lock(mutex_);
  group_table* table = find(scope);
  if (!table) return no_scope(scope);
  state_.subscriptions[monitor.id()] = {who, std::string(scope), group ? group_key(*group) : std::string()};
  auto& all = state_.subscribers[who];
  if (all.empty()) watch({who});
  all.insert(monitor.id());
  look(*table);
  return {};
}

bool group_service::unsubscribe(pid who, ref monitor) {
  std::lock_guard lock(mutex_);
  const auto found = state_.subscriptions.find(monitor.id());
  if (found == state_.subscriptions.end() || found->second.who != who) return false;
  state_.subscriptions.erase(found);
  const auto all = state_.subscribers.find(who);
  TROUPE_EXPECT(all != state_.subscribers.end(), "process", who.id(), "monitor", monitor.id());
  all->second.erase(monitor.id());
  if (all->second.empty()) state_.subscribers.erase(all);
  return true;
}

// -- what the process does

void group_service::process_gone(pid who) {
  std::lock_guard lock(mutex_);
  if (const auto mine = state_.subscribers.find(who); mine != state_.subscribers.end()) {
    for (const std::uint64_t id : mine->second) state_.subscriptions.erase(id);
    state_.subscribers.erase(mine);
  }
  for (auto& [scope, table] : state_.scopes) {
    for (const auto& [group, left] : table.gone(who)) {
      tell(scope, false, group, left);
      post_change(scope, "leave", group, left);
    }
  }
}

bool group_service::live(const std::string& id, std::uint64_t session) {
  std::lock_guard lock(mutex_);
  const auto found = state_.sessions.find(id);
  return found != state_.sessions.end() && found->second == session;
}

void group_service::heard_sync(const std::string& id, const groups_sync& all) {
  std::lock_guard lock(mutex_);
  group_table* table = find(all.scope);
  if (!table || !state_.sessions.contains(id)) return;
  std::map<std::string, std::pair<value, std::vector<pid>>> before;
  for (auto& [group, members] : table->purge(id)) before[group_key(group)] = {group, std::move(members)};
  // Only what differs is told: who has seen a member come must not see it come again.
  for (std::size_t i = 0; i < std::min(all.groups.size(), all.members.size()); ++i) {
    const value& group = all.groups[i];
    std::vector<pid> own;
    for (const pid one : all.members[i]) {
      if (member_id(one) == id) own.push_back(one);  // a node speaks for its own processes alone
    }
    table->join_elsewhere(id, group, own);
    const auto old = before.find(group_key(group));
    if (old != before.end()) {
      std::vector<pid>& known = old->second.second;
      std::erase_if(own, [&known](pid one) {
        const auto found = std::ranges::find(known, one);
        if (found == known.end()) return false;
        known.erase(found);
        return true;
      });
    }
    tell(all.scope, true, group, own);
  }
  for (const auto& [key, old] : before) tell(all.scope, false, old.first, old.second);
  for (const value& group : all.created) table->create(group);
}

void group_service::heard_change(const std::string& id, const groups_changed& one) {
  std::vector<pid> own;
  for (const pid each : one.members) {
    if (member_id(each) == id) own.push_back(each);
  }
  std::lock_guard lock(mutex_);
  group_table* table = find(one.scope);
  if (!table || !state_.sessions.contains(id)) return;
  if (one.what == "join") {
    table->join_elsewhere(id, one.group, own);
    tell(one.scope, true, one.group, own);
  } else if (one.what == "leave") {
    tell(one.scope, false, one.group, table->leave_elsewhere(id, one.group, own));
  } else if (one.what == "create") {
    table->create(one.group);
  } else if (one.what == "delete") {
    table->uncreate(one.group);
  }
}

void group_service::give_to_members(process& self, const groups_cast& cast) {
  std::vector<pid> to;
  {
    std::lock_guard lock(mutex_);
    const group_table* table = find(cast.scope);
    const auto* found = table ? table->find(cast.group) : nullptr;
    if (!found) return;
    to = found->local;
  }
  std::set<pid> given;
  for (const pid one : to) {
    if (given.insert(one).second) self.send(one, value(cast.content));
  }
}

group_service::snapshot group_service::whole(const std::string& scope) {
  snapshot out;
  std::lock_guard lock(mutex_);
  out.version = state_.version;
  if (const group_table* table = find(scope)) {
    out.there = true;
    out.groups = table->local_groups();
    out.created = table->created();
  }
  return out;
}

std::vector<std::string> group_service::scopes() {
  std::vector<std::string> out;
  std::lock_guard lock(mutex_);
  for (const auto& [scope, table] : state_.scopes) out.push_back(scope);
  return out;
}

std::vector<pid> group_service::watched() {
  std::set<pid> out;
  std::lock_guard lock(mutex_);
  for (const auto& [scope, table] : state_.scopes) {
    for (const pid one : table.local_processes()) out.insert(one);
  }
  for (const auto& [who, ids] : state_.subscribers) out.insert(who);
  return {out.begin(), out.end()};
}

// -- the bus's loop

void group_service::peer_up(const peer_event& who) {
  if (who.hidden || std::ranges::find(who.features, groups_feature) == who.features.end()) return;
  const std::string id = member_id(who.name, who.creation);
  std::lock_guard lock(mutex_);
  state_.sessions[id] = ++session_;
  post(groups_peer(id, session_, true));
}

void group_service::peer_down(const peer_event& who, const error&) {
  const std::string id = member_id(who.name, who.creation);
  std::lock_guard lock(mutex_);
  const auto found = state_.sessions.find(id);
  if (found == state_.sessions.end()) return;
  post(groups_peer(id, found->second, false));
  state_.sessions.erase(found);
  for (auto& [scope, table] : state_.scopes) {
    for (const auto& [group, members] : table.purge(id)) tell(scope, false, group, members);
  }
}

result<group_service*> start_groups(node& where) {
  group_service& made = where.core().attach(std::make_unique<group_service>(where.core()));
  if (auto started = made.start(); !started) return started.error();
  return &made;
}

}  // namespace troupe::internal
