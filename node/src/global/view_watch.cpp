#include "global/view_watch.hpp"

#include <algorithm>
#include <set>

#include <troupe/ids.hpp>

namespace troupe::internal {

namespace {

constexpr std::size_t most_names = 4096;

std::uint64_t sum_of(const membership::difference& what) {
  std::uint64_t out = 0;
  for (const std::string& id : what.only_here) out += stable_hash(id, 1);
  for (const std::uint64_t hash : what.only_there) out += hash;
  return out;
}

}  // namespace

view_watch::due view_watch::turn(const membership& members, time_point now) {
  due out;
  if (members.changes() != changes_) {
    changes_ = members.changes();
    const std::vector<std::string> differing = members.differing();
    std::erase_if(entries_, [&](const auto& each) {
      const auto& [id, one] = each;
      if (std::ranges::binary_search(differing, id)) return false;
      if (one.told && members.number_of(id) != 0) {
        difference gone;
        gone.node = member_name(id);
        gone.lasts = now - one.since;
        gone.over = true;
        out.news.push_back(std::move(gone));
      }
      return true;
    });
    for (const std::string& id : differing) {
      auto [at, added] = entries_.try_emplace(id);
      entry& one = at->second;
      one.changed = true;
      one.asked = false;
      if (added) one.since = now;
      one.tell_at = std::max(one.tell_at, deadline_after(one.since, told_after));
      one.ask_at = std::max(one.ask_at, deadline_after(one.since, asked_after));
    }
    if (entries_.empty()) names_.clear();
  }
  for (auto& [id, one] : entries_) {
    if (!one.asked && now >= one.ask_at) {
      one.asked = true;
      one.ask_at = deadline_after(now, asked_after);
      question ask{id, {}};
      for (const std::uint64_t hash : members.difference_from(id).only_there) {
        if (!names_.contains(hash) && ask.hashes.size() < most_named) ask.hashes.push_back(hash);
      }
      if (!ask.hashes.empty()) out.questions.push_back(std::move(ask));
    }
    if (one.changed && now >= one.tell_at) {
      one.changed = false;
      const std::uint64_t sum = sum_of(members.difference_from(id));
      if (one.told && sum == one.told_sum) continue;
      one.told = true;
      one.told_sum = sum;
      one.tell_at = deadline_after(now, told_after);
      out.news.push_back(describe(members, id, one, now));
    }
  }
  return out;
}

time_point view_watch::next() const noexcept {
  time_point out = time_point::max();
  for (const auto& [id, one] : entries_) {
    if (!one.asked) out = std::min(out, one.ask_at);
    if (one.changed) out = std::min(out, one.tell_at);
  }
  return out;
}

void view_watch::named(const membership& members, const std::string& from, const std::vector<std::string>& ids) {
  if (!entries_.contains(from)) return;
  const membership::difference seen = members.difference_from(from);
  for (const std::string& id : ids) {
    const std::uint64_t hash = stable_hash(id);
    // What it is not known to see is no answer.
    const bool asked = std::ranges::binary_search(seen.only_there, hash);
    if (asked && names_.size() < most_names && check_node_name(member_name(id))) names_.emplace(hash, id);
  }
}

std::vector<view_watch::difference> view_watch::lasting(const membership& members, time_point now) const {
  std::vector<difference> out;
  for (const auto& [id, one] : entries_) {
    if (now - one.since >= told_after) out.push_back(describe(members, id, one, now));
  }
  return out;
}

std::vector<std::string> view_watch::unseen(const membership& members) const {
  std::set<std::string> out;
  for (const auto& [id, one] : entries_) {
    for (const std::uint64_t hash : members.difference_from(id).only_there) {
      const auto name = names_.find(hash);
      if (name != names_.end() && out.size() < most_named) out.emplace(member_name(name->second));
    }
  }
  return {out.begin(), out.end()};
}

view_watch::difference view_watch::describe(const membership& members, const std::string& id, const entry& of,
                                            time_point now) const {
  const membership::difference seen = members.difference_from(id);
  difference out;
  out.node = member_name(id);
  out.lasts = now - of.since;
  for (const std::string& one : seen.only_here) {
    if (out.only_here.size() < most_named) out.only_here.emplace_back(member_name(one));
    else ++out.unnamed;
  }
  for (const std::uint64_t hash : seen.only_there) {
    auto name = names_.find(hash);
    if (name != names_.end() && out.only_there.size() < most_named)
      out.only_there.emplace_back(member_name(name->second));
    else ++out.unnamed;
  }
  return out;
}

}  // namespace troupe::internal
