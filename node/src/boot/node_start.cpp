// A node with all its layers: what make_bare_node has, then what watches it, then what others reach.
#include <algorithm>
#include <thread>

#include <troupe/bus/hub.hpp>
#include <troupe/bus/run_directory.hpp>
#include <troupe/node.hpp>
#include <troupe/script.hpp>

#include "boot/config_service.hpp"
#include "boot/user.hpp"
#include "dist/distribution.hpp"
#include "observe/observer.hpp"
#include "observe/system_functions.hpp"
#include "runtime/core.hpp"

namespace troupe {
namespace {

result<void> offer_own_functions(catalogue& offers) {
  auto reserved = offers.entries("troupe.");
  if (!reserved.empty())
    return error(errc::bad_name, reserved.front()->name + ": names that begin with \"troupe.\" are the node's own");
  catalogue own;
  internal::offer_system_functions(own);
  offer_script(own);
  internal::offer_config(own);
  offers.merge(own);
  return {};
}

unsigned default_workers() { return std::max(2u, std::thread::hardware_concurrency()) - 1; }

// 32 bits are enough to tell lives apart, and a pid stays readable.
std::uint64_t draw_creation(random_source& random) { return 1 + random.below(0xffff'ffffu); }

// What connects: where nodes of this host are found, this life's claim on its name, the bus.
result<internal::distribution_options> prepare_distribution(const node_options& options, const std::string& name,
                                                            random_source& random) {
  internal::distribution_options made;
  auto directory = bus::run_directory::open(options.run_directory.string());
  if (!directory) return directory.error();
  made.directory = *directory;
  if (!options.tool) {
    auto claim = directory->claim(name, random);
    if (!claim) return claim.error();
    made.claim = std::move(*claim);
  }
  if (options.distribution) {
    made.cookie = options.cookie;
    for (const std::string& text : options.listen) {
      auto where = bus::endpoint::parse(text);
      if (!where) return error(errc::bad_config, "listen \"" + text + "\": " + where.error().text());
      if (!where->is_local() && !options.plain_text) {
        return error(errc::not_allowed,
                     "listen \"" + text +
                         "\": traffic off this host would be readable by others; encryption is not there "
                         "yet, so plain text must be allowed by name (node.plain_text, --plain-text)");
      }
      made.listen.push_back(std::move(*where));
    }
    if (options.tool && !made.listen.empty()) return error(errc::not_allowed, "a tool never listens");
  }
  made.loop = bus::make_loop();
  auto transport = bus::zmq_transport(*made.loop);
  if (!transport) return transport.error();
  made.transport = std::move(*transport);
  return made;
}

}  // namespace

result<std::unique_ptr<node>> node::start(node_options options) {
  detail::bare_node_options bare;
  if (!options.cookie.empty()) {
    if (auto legal = bus::check_cookie(options.cookie); !legal) return legal.error();
  }
  if (!options.name.empty()) {
    auto name = complete_node_name(options.name);
    if (!name) return name.error();
    bare.name = std::move(*name);
  }
  const bool alive = bare.name != nonode;
  if (auto offered = offer_own_functions(options.offers); !offered) return offered.error();
  bare.random = options.random ? options.random : system_random();
  bare.clock = options.clock;
  bare.log = options.log;
  bare.creation = draw_creation(*bare.random);
  bare.workers = options.workers ? options.workers : default_workers();
  // The name is taken before anything runs: a second node of that name must not have begun to do something.
  internal::distribution_options network;
  if (alive) {
    auto prepared = prepare_distribution(options, bare.name, *bare.random);
    if (!prepared) return prepared.error();
    network = std::move(*prepared);
  }
  bare.node = std::move(options);
  std::unique_ptr<node> made = detail::make_bare_node(std::move(bare));
  detail::core& core = made->core();
  internal::attach_observer(core);
  if (auto user = internal::start_user(*made); !user) return user.error();
  if (alive) {
    auto joined = internal::start_distribution(core, std::move(network));
    if (!joined) return joined.error();
  }
  return made;
}

}  // namespace troupe
