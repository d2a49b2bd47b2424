// Nodes that see others than this one: said in the log, and who they are is asked and answered.
#include "global/views.hpp"

#include <algorithm>
#include <span>

#include "global/keeper.hpp"

namespace troupe::internal {

namespace {

constexpr duration reach_every = std::chrono::seconds(60);

}  // namespace

value names_of(const std::vector<std::string>& all) {
  list out;
  for (const std::string& name : all) out.emplace_back(name);
  return value(std::move(out));
}

void keeper::look_at_views() {
  const auto due = service_.with([&](global_service::state& s) { return s.views.turn(s.members, now()); });
  for (const auto& question : due.questions) tell(question.id, lives_asked(question.hashes));
  for (const auto& one : due.news) say(one);
}

// The mesh gives up whom it cannot reach, and tells of nodes when they meet alone: after a partition that has healed
// nobody would dial. Up to a quarter later, so that both sides do not dial as one.
void keeper::reach_unseen() {
  const bool differ = service_.with([](global_service::state& s) { return !s.views.empty(); });
  if (!differ) {
    reach_at_ = time_point::max();
    return;
  }
  if (reach_at_ != time_point::max() && now() < reach_at_) return;
  if (reach_at_ != time_point::max()) {
    service_.reach(service_.with([](global_service::state& s) { return s.views.unseen(s.members); }));
  }
  const auto spread = self_.core().random().below(static_cast<std::uint64_t>(reach_every.count()) / 4);
  reach_at_ = deadline_after(now(), reach_every + duration(static_cast<std::int64_t>(spread)));
}

// Who reads only this node's log must learn it here: global names and locks have no common ground then.
void keeper::say(const view_watch::difference& what) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(what.lasts).count();
  if (what.over) {
    self_.log().notice("the views of the nodes agree again", {{"node", what.node}, {"seconds", seconds}});
    return;
  }
  // Where nobody connects to whom others know, it is as it was meant.
  const bool meant = self_.core().options().mesh == mesh_policy::explicit_only;
  self_.log().log(meant ? log_level::info : log_level::warning, "the views of the nodes differ",
                  {{"node", what.node},
                   {"only_seen_there", names_of(what.only_there)},
                   {"only_seen_here", names_of(what.only_here)},
                   {"unnamed", what.unnamed},
                   {"seconds", seconds}});
}

// Lives by the hashes that our rows have for them.
void keeper::on_lives_asked(const std::string& from, const lives_asked& asked) {
  lives_named out;
  const auto wanted = std::span(asked.hashes).first(std::min(asked.hashes.size(), view_watch::most_named));
  for (const auto& [id, session] : current_) {
    if (std::ranges::find(wanted, stable_hash(id)) != wanted.end()) out.ids.push_back(id);
  }
  if (!out.ids.empty()) tell(from, out);
}

}  // namespace troupe::internal
