#pragma once
// Nodes of one OS process that share global names and locks.
#include <algorithm>

#include <troupe/global.hpp>
#include <troupe/lock.hpp>

#include "global/service.hpp"
#include "unit/dist/fixture.hpp"

namespace troupe::test {

class global_fixture : public cluster_fixture {
 protected:
  member start_global(const std::string& name, member_options given = {}) {
    given.features = {internal::global_feature};
    given.workers = 2;  // a body of one node may wait for one of another
    given.services = [](node& here) { internal::start_global(here).or_exit(); };
    return start(name, std::move(given));
  }
  // Connected, and of one view.
  void join(member& here, member& there) {
    here.run([&](process& self) -> task<> {
      auto joined = co_await connect(self, there.name());
      std::move(joined).or_exit();
    });
    EXPECT_TRUE(wait_until([&] { return sees(here, there) && sees(there, here); }));
    for (member* one : {&here, &there}) agree(*one);
  }
  static bool sees(member& here, member& there) {
    const auto all = global::members(*here.machine);
    return std::find(all.begin(), all.end(), there.name()) != all.end();
  }
  void agree(member& one) {
    one.run([&](process& self) -> task<> {
      auto syncing = global::sync(self, patience);
      auto synced = co_await std::move(syncing);
      std::move(synced).or_exit();
    });
  }
  static global::registration register_at(member& where, value name, pid who, global::register_options how = {}) {
    return where.run([&](process& self) -> task<global::registration> {
      auto asking = global::register_name(self, std::move(name), who, std::move(how));
      auto out = co_await std::move(asking);
      co_return out;
    });
  }
  static result<pid> whereis_at(member& where, value name) {
    std::optional<result<pid>> out;
    where.run([&](process& self) -> task<> {
      auto asking = global::whereis_name(self, std::move(name));
      out.emplace(co_await std::move(asking));
    });
    return std::move(*out);
  }
  static bool known_at(member& where, const char* name, pid who) {
    auto found = global::whereis_here(*where.machine, global::name(name));
    return found ? *found == who : !who;
  }
};

}  // namespace troupe::test
