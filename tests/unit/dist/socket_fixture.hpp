#pragma once
// Nodes and tools of one OS process over real sockets, found by a run directory of their own.
#include "support/temp_dir.hpp"
#include "unit/dist/fixture.hpp"

namespace troupe::test {

class socket_fixture : public testing::Test {
 protected:
  member start(const std::string& name, bool tool = false, catalogue offers = {}, std::uint64_t creation = 0) {
    const auto directory = bus::run_directory::open(folder_.path().string()).or_exit();
    detail::bare_node_options options;
    options.name = name;
    options.creation = creation != 0 ? creation : system_random()->next() | 1;
    options.node.offers = std::move(offers);
    options.node.tool = tool;
    member out;
    out.machine = detail::make_bare_node(std::move(options));
    internal::distribution_options network;
    network.loop = loop_;
    network.transport = bus::zmtp_transport(*loop_).or_exit();
    network.directory = directory;
    if (!tool) {
      network.claim = directory.claim(name, *system_random()).or_exit();
      network.cookie = "a-cookie-for-these-tests";
    }
    out.network = internal::attach_distribution(out.core(), std::move(network)).or_exit();
    out.network->open().or_exit();
    out.door = out.machine->make_handle().or_exit();
    return out;
  }

  temp_dir folder_;
  std::shared_ptr<bus::loop> loop_ = bus::make_loop();
};

}  // namespace troupe::test
