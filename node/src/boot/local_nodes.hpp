#pragma once
// The nodes of this host as tools see them: what the run directory says, without asking the nodes themselves.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <troupe/error.hpp>

namespace troupe::internal {

struct local_node {
  std::string name;
  std::vector<std::string> endpoints;
  std::int64_t os_pid = 0;  // as the node itself sees it: another number in another container
  std::string application, version;
  std::string lock;  // the file that it holds locked while it lives
};

// Those that live, sorted by name. Errors: those of the folder.
[[nodiscard]] result<std::vector<local_node>> local_nodes();
// By its whole name. errc::noproc when it does not run here, noconnection when it is just starting.
[[nodiscard]] result<local_node> find_local_node(std::string_view name);
[[nodiscard]] result<std::string> local_nodes_folder();

// What --cookie-file FILE, TROUPE_COOKIE or ~/.troupe/cookie hold; empty when there is none. A file that was asked for
// must be readable, and closed to others. `variable`: what TROUPE_COOKIE held, when it has been taken out of the
// environment already.
[[nodiscard]] result<std::string> find_cookie(std::optional<std::string> file,
                                              std::optional<std::string> variable = {});
// The same for a node that others shall reach: where there is none, ~/.troupe/cookie is made, as OTP makes its own.
// Empty when it cannot be: no HOME, or one that nothing can be written to.
[[nodiscard]] result<std::string> find_or_make_cookie(std::optional<std::string> file,
                                                      std::optional<std::string> variable = {});

}  // namespace troupe::internal
