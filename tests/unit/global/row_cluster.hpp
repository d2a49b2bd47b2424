#pragma once
// Nodes that tell each other their rows at once, by hand.
#include <map>
#include <memory>
#include <set>
#include <string>

#include "global/membership.hpp"

namespace troupe::test {

struct row_cluster {
  using membership = internal::membership;
  row_cluster(std::initializer_list<const char*> ids, partition_policy policy) {
    for (const char* id : ids) all.emplace(id, std::make_unique<membership>(id, policy));
  }
  void link(const std::string& a, const std::string& b) {
    all[a]->up(b, now);
    all[b]->up(a, now);
    tell();
  }
  void cut(const std::string& a, const std::string& b) {
    all[a]->down(b, false, now);
    all[b]->down(a, false, now);
    tell();
  }
  void link_all() {
    for (auto& [a, x] : all) {
      for (auto& [b, y] : all) {
        if (a < b) link(a, b);
      }
    }
  }
  void tell() {
    for (int round = 0; round < 4; ++round) {
      for (auto& [a, from] : all) {
        if (mute.contains(a)) continue;
        const internal::member_row row = from->row();
        for (auto& [b, to] : all) to->heard(a, row, now);  // who is not linked does not listen
      }
    }
  }

  std::map<std::string, std::unique_ptr<membership>> all;
  std::set<std::string> mute;  // do not tell
  time_point now{std::chrono::seconds(1)};
};

}  // namespace troupe::test
