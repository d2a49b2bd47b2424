#include "global/service.hpp"

#include <algorithm>

#include "global/keeper.hpp"
#include "global/messages.hpp"
#include "runtime/own.hpp"

namespace troupe::internal {

global_service::global_service(detail::core& core)
    : core_(core),
      self_(member_id(core.life()->name, core.life()->creation)),
      state_(membership(self_, core.options().partition)) {}

global_service::~global_service() {
  core_.set_directory(nullptr);
  if (network_) network_->unwatch(*this);
}

result<void> global_service::start() {
  spawn_options options;
  options.name = keeper_name;
  options.entry = keeper_name;
  auto made = detail::spawn_own(detail::own_kind::pillar, core_, nullptr, std::move(options), &keep_global, this);
  if (!made) return made.error();
  keeper_ = made->process;
  core_.set_directory(this);
  network_ = core_.find<distribution>();
  // Hidden nodes and tools have names of their own, and no part in the cluster's.
  if (core_.options().hidden || core_.options().tool) network_ = nullptr;
  if (network_) network_->watch(*this);
  return {};
}

void global_service::note(const std::string& id, std::uint64_t session, bool up) {
  core_.deliver(keeper_, detail::make_envelope<peer_note>(detail::signal::message, id, session, up));
}

void global_service::peer_up(const peer_event& who) {
  if (who.hidden || std::find(who.features.begin(), who.features.end(), global_feature) == who.features.end()) return;
  const std::string id = member_id(who.name, who.creation);
  {
    std::lock_guard lock(mutex_);
    state_.sessions[id] = ++session_;
    state_.members.up(id, core_.clock().now());
  }
  note(id, session_, true);
}

void global_service::peer_down(const peer_event& who, const error& reason) {
  const std::string id = member_id(who.name, who.creation);
  std::uint64_t session = 0;
  {
    std::lock_guard lock(mutex_);
    auto found = state_.sessions.find(id);
    if (found == state_.sessions.end()) return;
    session = found->second;
    state_.sessions.erase(found);
    state_.claims.purge(id);
    const bool planned = reason == errc::closed || reason == errc::shutting_down;
    state_.members.down(id, planned, core_.clock().now());
  }
  note(id, session, false);
}

result<pid> global_service::whereis(std::string_view key) {
  {
    std::lock_guard lock(mutex_);
    if (const claim* found = state_.claims.oldest_of_members(key, state_.members)) return found->holder;
  }
  return error(errc::noproc, "no process is registered globally as " + name_in_key(key).print(4, 100));
}

std::string global_service::arbiter_node(const std::string& key) {
  std::lock_guard lock(mutex_);
  const std::string id = state_.members.arbiter(key);
  return id == self_ ? std::string() : std::string(member_name(id));
}

std::vector<claim_table::held> global_service::held(bool locks) {
  std::lock_guard lock(mutex_);
  std::vector<std::string_view> keys;
  for (const auto& [key, row] : state_.claims.all()) {
    if ((key.front() == 'l') == locks) keys.push_back(key);
  }
  std::ranges::sort(keys);
  std::vector<claim_table::held> out;
  for (const std::string_view key : keys) {
    auto here = state_.claims.of_members(key, state_.members);
    if (!locks && here.size() > 1) here.resize(1);  // a clash that is being settled: as `whereis` answers
    for (auto& one : here) out.push_back(std::move(one));
  }
  return out;
}

std::vector<std::string> global_service::members() {
  std::lock_guard lock(mutex_);
  std::vector<std::string> out;
  for (const std::string& id : state_.members.view()) out.emplace_back(member_name(id));
  return out;
}

bool global_service::agreed() {
  std::lock_guard lock(mutex_);
  if (!state_.members.confirmed()) return false;
  const auto& crowded = state_.claims.crowded();
  return std::none_of(crowded.begin(), crowded.end(), [this](const std::string& key) {
    const auto rows = state_.claims.of_members(key, state_.members);
    return rows.size() > 1 && std::any_of(rows.begin(), rows.end(), [&rows](const claim_table::held& one) {
             return !one.what.lock || one.what.requester != rows.front().what.requester;
           });
  });
}

value global_service::info() {
  const bool settled = agreed();
  std::lock_guard lock(mutex_);
  std::size_t names = 0, locks = 0;
  for (const auto& [key, row] : state_.claims.all()) (key.front() == 'l' ? locks : names) += 1;
  list members;
  for (const std::string& id : state_.members.view()) members.emplace_back(std::string(member_name(id)));
  map out;
  out.emplace_back("members", std::move(members));
  out.emplace_back("confirmed", state_.members.confirmed());
  out.emplace_back("may_grant", state_.members.may_grant());
  out.emplace_back("agreed", settled);
  out.emplace_back("partition", to_string(state_.members.policy()));
  out.emplace_back("names", names);
  out.emplace_back("locks", locks);
  out.emplace_back("asking", state_.asking);
  out.emplace_back("queued", state_.queued);
  out.emplace_back("granting", state_.granting);
  out.emplace_back("settling", state_.settling);
  return value(std::move(out));
}

std::vector<view_watch::difference> global_service::view_differences() {
  std::lock_guard lock(mutex_);
  return state_.views.lasting(state_.members, core_.clock().now());
}

void global_service::probe(const std::string& id) {
  if (network_) network_->probe(std::string(member_name(id)), membership::probe_patience);
}

void global_service::reach(std::vector<std::string> names) {
  if (network_) network_->reach_again(std::move(names));
}

result<global_service*> start_global(node& where) {
  global_service& made = where.core().attach(std::make_unique<global_service>(where.core()));
  if (auto started = made.start(); !started) return started.error();
  return &made;
}

}  // namespace troupe::internal
