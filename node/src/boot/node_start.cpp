// A node with all its layers: what make_bare_node has, then what watches it, then what others reach.
#include <algorithm>
#include <cctype>
#include <thread>

#include <troupe/bus/hub.hpp>
#include <troupe/bus/run_directory.hpp>
#include <troupe/cluster.hpp>
#include <troupe/global.hpp>
#include <troupe/node.hpp>
#include <troupe/script.hpp>

#include "boot/config_service.hpp"
#include "boot/other_hosts.hpp"
#include "boot/user.hpp"
#include "dist/distribution.hpp"
#include "dist/reach.hpp"
#include "global/group_service.hpp"
#include "global/service.hpp"
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

// One processor is for the network and what the system does; but one process that holds its worker, however long, must
// not be all that runs.
unsigned default_workers() { return std::max(3u, std::thread::hardware_concurrency()) - 1; }

// 32 bits are enough to tell lives apart, and a pid stays readable.
std::uint64_t draw_creation(random_source& random) { return 1 + random.below(0xffff'ffffu); }

// A tool connects to whom it asks, and keeps no connections.
result<void> add_peers(const node_options& options, internal::distribution_options& made) {
  auto want = [&made, &options](const std::string& name) {
    if (!options.tool && std::find(made.wanted.begin(), made.wanted.end(), name) == made.wanted.end())
      made.wanted.push_back(name);
  };
  for (const std::string& text : options.peers) {
    auto peer = internal::parse_peer(text);
    if (!peer) return peer.error();
    want(peer->name);
    if (peer->where) made.peers[peer->name].push_back(std::move(*peer->where));
  }
  for (const std::string& text : options.wait_for) {
    auto name = complete_node_name(text);
    if (!name) return error(errc::bad_config, "wait_for: " + name.error().text());
    want(*name);
  }
  return {};
}

// What other nodes are told must be something that they can dial.
result<void> add_advertised(const node_options& options, internal::distribution_options& made) {
  if (options.advertise.empty()) return {};
  if (options.listen.empty()) {
    return error(errc::bad_config,
                 "node.advertise tells others where to dial, and node.listen, which lets them in, "
                 "is empty: give that too");
  }
  if (options.advertise.size() > internal::most_told_endpoints) {
    return error(errc::bad_config, "node.advertise: " + std::to_string(options.advertise.size()) +
                                       " endpoints, and others are told of " +
                                       std::to_string(internal::most_told_endpoints) + " at most");
  }
  for (const std::string& text : options.advertise) {
    auto where = bus::endpoint::parse(text);
    std::string why;
    if (!where) why = where.error().text();
    else if (where->kind != bus::endpoint::scheme::tcp) why = "others dial tcp://HOST:PORT alone";
    else if (internal::is_wildcard(*where)) why = "that is every host's own: name the host or address that leads here";
    else if (where->port == 0) why = "the port must be the one that others dial";
    if (!why.empty()) return error(errc::bad_config, "node.advertise \"" + text + "\": " + why);
    made.advertise.push_back(std::move(*where));
  }
  return {};
}

// The nodes of `wait_for` are wanted, so they are dialled until they are there; then names are made one, so that what
// starts next finds the names of those nodes.
result<void> wait_for_nodes(node& here) {
  const node_options& options = here.options();
  if (options.wait_for.empty()) return {};
  auto missing = [&here, &options] {
    const std::vector<std::string> up = nodes(here, node_class::connected);
    std::vector<std::string> out;
    for (const std::string& text : options.wait_for) {
      const std::string name = *complete_node_name(text);
      if (name != here.name() && std::find(up.begin(), up.end(), name) == up.end()) out.push_back(name);
    }
    return out;
  };
  auto door = here.make_handle();
  if (!door) return door.error();
  result<void> synced;
  auto wait = [&missing, &synced, within = options.wait_within](process& self) -> task<> {
    monitor_nodes(self, true, node_class::connected);
    const time_point deadline = deadline_after(self.now(), within);
    while (!missing().empty()) {
      auto event = co_await self.receive(deadline - self.now());
      if (!event) break;
    }
    // Also when some are missing; and names get a moment when the nodes took all the time.
    synced = co_await global::sync(self, std::max<duration>(deadline - self.now(), std::chrono::seconds(1)));
  };
  if (auto waited = (*door)->run(options.wait_within + std::chrono::seconds(5), wait); !waited) {
    return waited.error();
  }
  const auto left = missing();
  if (!synced && (left.empty() || options.wait_optional)) {
    here.log().warning("started before global names are one", {{"reason", synced.error().message()}});
  }
  if (left.empty()) return {};
  std::string text;
  for (const std::string& name : left) text += (text.empty() ? "" : ", ") + name;
  const error why = here.core().find<internal::distribution>()->last_failure(left.front());
  if (why.code() != errc::none) text += " (" + why.message() + ")";
  if (options.wait_optional) {
    here.log().warning("started without nodes that were waited for", {{"missing", text}});
    return {};
  }
  return error(errc::noconnection, "waited for nodes that are not there: " + text);
}

// Globs of fnmatch over NAME@HOST. One that none can fit is a mistake, and as a denial one that lets in.
result<void> check_globs(const std::vector<std::string>& globs, std::string_view key) {
  for (const std::string& glob : globs) {
    // Inside of [ ] anything may stand, and a star or a question mark may be the '@'.
    const bool has_host = glob.find_first_of("@*?[") != std::string::npos;
    const bool possible = std::all_of(glob.begin(), glob.end(), [](unsigned char c) {
      return std::isalnum(c) || std::string_view("_-.@*?[]!^\\").find(static_cast<char>(c)) != std::string_view::npos;
    });
    if (has_host && possible && std::count(glob.begin(), glob.end(), '@') <= 1) continue;
    return error(errc::bad_config, std::string(key) + ": \"" + glob + "\" can match no node: names are NAME@HOST" +
                                       (possible && !has_host ? ", such as \"" + glob + "@*\"" : std::string()));
  }
  return {};
}

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
      const bus::security secrets{.cookie = options.cookie, .plain_text_allowed = options.plain_text};
      const auto over = bus::channel_over(*where, secrets);
      if (!over) return error(over.error().code(), "listen \"" + text + "\": " + over.error().text());
      made.listen.push_back(std::move(*where));
    }
    if (options.tool && !made.listen.empty()) return error(errc::not_allowed, "a tool never listens");
    if (auto told = add_advertised(options, made); !told) return told.error();
    if (auto known = add_peers(options, made); !known) return known.error();
  }
  made.loop = bus::make_loop();
  auto transport = bus::zmtp_transport(*made.loop, options.transport);
  if (!transport) return transport.error();
  made.transport = std::move(*transport);
  return made;
}

}  // namespace

result<std::unique_ptr<node>> node::start(node_options options) try {
  detail::bare_node_options bare;
  if (!options.cookie.empty()) {
    if (auto legal = bus::check_cookie(options.cookie); !legal) return legal.error();
  }
  if (auto legal = check_globs(options.allow_nodes, "node.allow"); !legal) return legal.error();
  if (auto legal = check_globs(options.deny_nodes, "node.deny"); !legal) return legal.error();
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
  internal::distribution* door = nullptr;
  if (alive) {
    network.features.emplace_back(internal::global_feature);
    network.features.emplace_back(internal::groups_feature);
    auto attached = internal::attach_distribution(core, std::move(network));
    if (!attached) return attached.error();
    door = *attached;
  }
  if (auto shared = internal::start_global(*made); !shared) return shared.error();
  if (auto grouped = internal::start_groups(*made); !grouped) return grouped.error();
  if (door) {
    // Only now: what others say first is meant for the two above.
    if (auto open = door->open(); !open) return open.error();
    if (auto there = wait_for_nodes(*made); !there) return there.error();
  }
  return made;
} catch (const std::system_error& none) {  // what has begun is ended by its owners
  return error(errc::system_limit, std::string("no node: the host has no more threads or descriptors: ") + none.what());
}

}  // namespace troupe
