#pragma once
// The catalogue at work: processes that run functions and entries for whoever asked, here or elsewhere.
#include <troupe/spawn.hpp>

#include <atomic>
#include <memory>

#include "dist/signals.hpp"
#include "runtime/core.hpp"

namespace troupe::internal {

// How many arguments there are, and what an entry says of them with its name and what it takes:
// "math.add(integer, integer): 2 argument(s) expected, 1 given". Any other error stays as it is.
[[nodiscard]] std::size_t argument_count(const value& arguments) noexcept;
[[nodiscard]] error about_arguments(const catalogue_entry& entry, std::size_t given, error why);

// Runs the function in a process of its own, which answers order.from; refusals are answered at once. `running` counts
// it until it ends.
void serve_rpc(detail::core& core, work_order order, std::shared_ptr<std::atomic<std::size_t>> running = {});

// Starts the process of the catalogue. `parent` is the spawner when it is local: then link and monitor are tied here.
// `held`: it begins only when released. `running` counts it until it ends. errc: undef, bad_argument, system_limit,
// shutting_down.
[[nodiscard]] result<spawned> serve_spawn(detail::core& core, const work_order& order, process* parent, bool held,
                                          std::shared_ptr<std::atomic<std::size_t>> running = {});
void release_held(detail::core& core, pid child);

}  // namespace troupe::internal
