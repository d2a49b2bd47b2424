#pragma once
// The command line of every application that is a node, and what it means for the configuration.
#include <optional>
#include <string>
#include <vector>

#include <troupe/application.hpp>
#include <troupe/node.hpp>

#include "boot/options.hpp"

namespace troupe::internal {

[[nodiscard]] command_table run_table(const application& app);

// The value of --cookie, which is overwritten in argv, where every user of the machine can read it. Once, first of all.
[[nodiscard]] std::optional<std::string> take_cookie(int argc, char** argv);

// Schema of the node and the application; default < sources of config_sources.hpp < options < --set.
[[nodiscard]] result<config> load_config(const application& app, const parsed_options& given);

// What the environment says that no child of ours may read there: it is taken out of it. Once, before the first thread.
struct secret_variables {
  std::optional<std::string> cookie;  // TROUPE_COOKIE
};
[[nodiscard]] secret_variables take_secret_variables(const application& app);

// What the configuration says of the node. `cookie` is that of take_cookie; without it the usual sources. A program of
// a release has the release's cookie or none: ~/.troupe/cookie would be that of another cluster.
[[nodiscard]] result<node_options> options_from(application& app, const config& values,
                                                std::optional<std::string> cookie, secret_variables secrets = {});

}  // namespace troupe::internal
