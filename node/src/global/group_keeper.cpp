#include "global/group_keeper.hpp"

#include <troupe/node.hpp>

#include "global/membership.hpp"
#include "otp/strangers.hpp"

namespace troupe::internal {
namespace {

constexpr std::size_t pids_in_a_part = 2000;

}  // namespace

task<> keep_groups(process& self, group_service* service, group_keeper_guard guard) {
  (void)guard;
  // The name of a predecessor that is just ending is free in a moment.
  for (;;) {
    auto mine = self.register_name(groups_name);
    if (mine) break;
    if (mine.error() != errc::name_taken) self.exit(exit_reason(mine.error()));
    co_await self.sleep(std::chrono::milliseconds(1));
  }
  group_keeper keeper(self, *service);
  for (;;) {
    auto got = co_await self.receive(keeper.wait());
    if (got) keeper.take(*got);
    keeper.turn();
  }
}

group_keeper::group_keeper(process& self, group_service& service) : self_(self), service_(service) {
  service_.adopt(self_.id());
  for (const pid one : service_.watched()) watch(one);
}

duration group_keeper::wait() const {
  if (retry_ == time_point::max()) return wait_forever;
  return std::max(duration::zero(), duration(retry_ - self_.now()));
}

void group_keeper::take(message& got) {
  if (got.peek()->kind == detail::signal::down) {
    if (const auto* ended = got.get<down>()) {
      watched_.erase(ended->process);
      service_.process_gone(ended->process);
    }
    return;
  }
  const pid sender = got.from();
  const std::string tag = got.tag();
  if (got.is_call()) {
    refuse_stranger(self_, groups_name, got);
    return;
  }
  if (!sender) {
    if (const auto* note = content_as<groups_peer>(got, tag)) on_peer(*note);
    else if (const auto* ended = content_as<groups_watch>(got, tag)) watch(ended->process);
    else if (const auto* what = content_as<groups_tell>(got, tag)) on_tell(*what);
    else if (const auto* made = content_as<groups_scope>(got, tag)) {
      for (const auto& [id, of] : peers_) discover(id, made->scope, true);
    }
    return;
  }
  if (const auto* cast = content_as<groups_cast>(got, tag)) {
    service_.give_to_members(self_, *cast);
    return;
  }
  // -- from the process of another node, on the connection that is up now: what came before its loss is void
  const std::string id = member_id(sender);
  const auto found = peers_.find(id);
  if (found == peers_.end() || !service_.live(id, found->second.session)) return;
  if (const auto* ask = content_as<groups_discover>(got, tag)) on_discover(id, found->second, sender, *ask);
  else if (auto* part = content_as<groups_sync>(got, tag)) on_sync(id, found->second, *part);
  else if (const auto* changed = content_as<groups_changed>(got, tag)) service_.heard_change(id, *changed);
  else refuse_stranger(self_, groups_name, got);
}

void group_keeper::watch(pid who) {
  if (watched_.insert(who).second) self_.monitor(who);
}

// -- the other nodes

void group_keeper::on_peer(const groups_peer& note) {
  if (!note.up) {
    const auto found = peers_.find(note.id);
    if (found != peers_.end() && found->second.session == note.session) peers_.erase(found);
    return;
  }
  peer& of = peers_[note.id];
  if (of.session == note.session) return;
  of = {};
  of.session = note.session;
  for (const std::string& scope : service_.scopes()) discover(note.id, scope, true);
}

template <class M>
bool group_keeper::send(const std::string& id, M what) {
  auto sent = self_.try_send(address(groups_name, std::string(member_name(id))), std::move(what));
  return sent || sent.error() != errc::overloaded;  // what is lost with the connection comes with the next one
}

void group_keeper::discover(const std::string& id, const std::string& scope, bool back) {
  if (send(id, groups_discover(scope, back))) return;
  // So much waits for that node: it is asked when the next whole goes there.
  peers_[id].scopes[scope].behind = true;
  retry_ = std::min(retry_, self_.now() + retry_after);
}

void group_keeper::on_discover(const std::string& id, peer& of, pid sender, const groups_discover& ask) {
  const auto scopes = service_.scopes();
  if (std::find(scopes.begin(), scopes.end(), ask.scope) == scopes.end()) return;
  shared& to = of.scopes[ask.scope];
  if (ask.back) discover(id, ask.scope, false);
  if (to.keeper == sender && !to.behind) return;  // it has all that there is
  to.keeper = sender;
  sync(id, ask.scope, to);
}

void group_keeper::sync(const std::string& id, const std::string& scope, shared& to) {
  auto all = service_.whole(scope);
  if (!all.there) return;
  groups_sync part;
  part.scope = scope;
  part.created = std::move(all.created);
  bool taken = true;
  std::size_t held = 0;
  for (auto& [group, members] : all.groups) {
    if (held > 0 && held + members.size() > pids_in_a_part) {
      part.more = true;
      taken = taken && send(id, std::move(part));
      part = {};
      part.scope = scope;
      held = 0;
    }
    held += members.size();
    part.groups.push_back(std::move(group));
    part.members.push_back(std::move(members));
  }
  taken = taken && send(id, std::move(part));
  to.version = all.version;
  to.behind = !taken;
  if (to.behind) retry_ = std::min(retry_, self_.now() + retry_after);
}

void group_keeper::on_sync(const std::string& id, peer& of, groups_sync& part) {
  auto found = of.arriving.find(part.scope);
  if (found == of.arriving.end() && !part.more) {
    service_.heard_sync(id, part);
    return;
  }
  groups_sync& whole = of.arriving[part.scope];
  whole.scope = part.scope;
  std::move(part.groups.begin(), part.groups.end(), std::back_inserter(whole.groups));
  std::move(part.members.begin(), part.members.end(), std::back_inserter(whole.members));
  std::move(part.created.begin(), part.created.end(), std::back_inserter(whole.created));
  if (part.more) return;
  const groups_sync complete = std::move(whole);
  of.arriving.erase(part.scope);
  service_.heard_sync(id, complete);
}

void group_keeper::on_tell(const groups_tell& what) {
  for (auto& [id, of] : peers_) {
    const auto found = of.scopes.find(what.scope);
    if (found == of.scopes.end() || !found->second.keeper) continue;
    shared& to = found->second;
    if (to.behind || what.version <= to.version) continue;  // the whole will have it, or had it
    to.version = what.version;
    if (send(id, groups_changed(what.scope, what.what, what.group, what.members))) continue;
    to.behind = true;
    retry_ = std::min(retry_, self_.now() + retry_after);
  }
}

void group_keeper::turn() {
  if (retry_ > self_.now()) return;
  retry_ = time_point::max();
  for (auto& [id, of] : peers_) {
    for (auto& [scope, to] : of.scopes) {
      if (!to.behind) continue;
      to.behind = false;
      discover(id, scope, true);
      if (to.keeper && !to.behind) sync(id, scope, to);
    }
  }
}

}  // namespace troupe::internal
