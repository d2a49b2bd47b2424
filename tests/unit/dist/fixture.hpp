#pragma once
// Nodes of one OS process on the inproc transport, wired by hand.
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <troupe/handle.hpp>
#include <troupe/rpc.hpp>

#include "dist/distribution.hpp"
#include "runtime/core.hpp"
#include "support/wait.hpp"

namespace troupe::test {

// A result<error> would be a failure of the run itself.
using expected_failure = std::optional<error>;

inline constexpr duration patience = std::chrono::seconds(30);

struct member_options {
  catalogue offers = {};
  bool hidden = false;
  std::string cookie = "a-cookie-for-these-tests";
  limits wire = {};
  std::uint64_t creation = 1;
  std::size_t queue_bytes = 4u << 20;
  std::size_t sender_bytes = 256u << 20;
  std::size_t rpcs_at_once = 8192, told_at_once = 1024, dials_at_once = 32;
  std::size_t spawns_at_once = 65'536, monitors_at_once = 262'144, links_at_once = 262'144;
  mesh_policy mesh = mesh_policy::explicit_only;
  bool knows_all = true;  // where one, two and three are
  std::vector<std::string> address_book = {};
  std::vector<std::string> listen = {}, advertise = {};  // inproc names, besides its own
  std::vector<std::string> wanted = {}, allow = {}, deny = {};
  std::vector<std::string> features = {};
  unsigned workers = 1;
  std::function<void(node&)> services = {};  // what watches the network, before it opens
};

// One node with its network. The loop and the inproc network are the fixture's.
struct member {
  std::unique_ptr<node> machine;
  internal::distribution* network = nullptr;
  std::unique_ptr<handle> door;
  [[nodiscard]] const std::string& name() const { return machine->name(); }
  [[nodiscard]] detail::core& core() const { return machine->core(); }
  // A body on this node, its result here.
  template <class F>
  auto run(F body) {
    return door->run(patience, std::move(body)).or_exit();
  }
  void end() {
    door.reset();
    machine.reset();
    network = nullptr;
  }
};

class cluster_fixture : public testing::Test {
 protected:
  [[nodiscard]] static bus::endpoint place(const std::string& name) {
    return {bus::endpoint::scheme::inproc, name.substr(0, name.find('@')), 0};
  }
  member start(const std::string& name, member_options given = {}) {
    detail::bare_node_options options;
    options.name = name;
    options.creation = given.creation;
    options.workers = given.workers;
    options.node.offers = std::move(given.offers);
    options.node.hidden = given.hidden;
    options.node.wire = given.wire;
    options.node.mesh = given.mesh;
    options.node.allow_nodes = given.allow;
    options.node.deny_nodes = given.deny;
    member out;
    out.machine = detail::make_bare_node(std::move(options));
    internal::distribution_options network;
    network.loop = loop_;
    network.transport = bus::inproc_transport(*loop_, net_);
    network.cookie = given.cookie;
    network.queue_bytes = given.queue_bytes;
    network.sender_bytes = given.sender_bytes;
    network.rpcs_at_once = given.rpcs_at_once;
    network.spawns_at_once = given.spawns_at_once;
    network.monitors_at_once = given.monitors_at_once;
    network.links_at_once = given.links_at_once;
    network.told_at_once = given.told_at_once;
    network.dials_at_once = given.dials_at_once;
    network.listen = {place(name)};
    for (const std::string& each : given.listen) network.listen.push_back(place(each));
    for (const std::string& each : given.advertise) network.advertise.push_back(place(each));
    for (const char* other : {"one@test", "two@test", "three@test"}) {
      if (given.knows_all && other != name) network.peers[other] = {place(other)};
    }
    for (const std::string& other : given.address_book) network.peers[other] = {place(other)};
    network.wanted = given.wanted;
    network.features = given.features;
    network.retry_first = std::chrono::milliseconds(20);
    out.network = internal::attach_distribution(out.core(), std::move(network)).or_exit();
    if (given.services) given.services(*out.machine);
    out.network->open().or_exit();
    out.door = out.machine->make_handle().or_exit();
    return out;
  }

  std::shared_ptr<bus::loop> loop_ = bus::make_loop();
  std::shared_ptr<bus::inproc_network> net_ = bus::make_inproc_network();
};

// Answers calls with ["echo", what]; "die" ends it with the reason given; "forget" drops the call.
inline task<> echo(process& self) {
  for (;;) {
    auto got = co_await self.receive(wait_forever);
    if (!got) co_return;
    const value content = got->to_value();
    if (got->is_call()) {
      if (content == value("forget")) continue;
      list answer{value("echo"), content};
      self.reply(*got, value(std::move(answer)));
    } else if (content.items() && content.items()->size() == 2 && content.items()->front() == value("die")) {
      self.exit(exit_reason(content.items()->back()));
    } else if (content.items() && content.items()->size() == 2 && content.items()->back().process()) {
      list answer{content.items()->front(), value(self.id())};  // {word, pid}: {word, me} to the pid
      self.send(*content.items()->back().process(), value(std::move(answer)));
    }
  }
}

inline pid start_echo(member& where, const std::string& name) {
  spawn_options options;
  options.name = name;
  return spawn(*where.machine, std::move(options), &echo).or_exit();
}

}  // namespace troupe::test
