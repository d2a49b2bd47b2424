#include "boot/local_nodes.hpp"

#include <troupe/bus/run_directory.hpp>
#include <troupe/bus/security.hpp>

namespace troupe::internal {
namespace {

local_node shown(bus::node_entry&& entry) {
  local_node out;
  out.lock = (entry.folder / (entry.name + ".lock")).string();
  for (const bus::endpoint& where : entry.endpoints) out.endpoints.push_back(where.text());
  out.name = std::move(entry.name);
  out.os_pid = entry.os_pid;
  out.application = std::move(entry.application);
  out.version = std::move(entry.version);
  return out;
}

}  // namespace

result<std::vector<local_node>> local_nodes() {
  auto directory = bus::run_directory::open();
  if (!directory) return directory.error();
  auto found = directory->list();
  if (!found) return found.error();
  std::vector<local_node> out;
  for (bus::node_entry& entry : *found) out.push_back(shown(std::move(entry)));
  return out;
}

result<local_node> find_local_node(std::string_view name) {
  auto directory = bus::run_directory::open();
  if (!directory) return directory.error();
  auto found = directory->lookup(name);
  if (!found) return found.error();
  return shown(std::move(*found));
}

result<std::string> local_nodes_folder() {
  auto directory = bus::run_directory::open();
  if (!directory) return directory.error();
  return directory->path().string();
}

namespace {

bus::cookie_sources sources_with(std::optional<std::string> file, std::optional<std::string> variable) {
  auto out = bus::cookie_environment(std::move(file));
  if (variable) out.environment = std::move(variable);
  return out;
}

}  // namespace

result<std::string> find_cookie(std::optional<std::string> file, std::optional<std::string> variable) {
  const bool asked = file.has_value();
  auto found = bus::load_cookie(sources_with(std::move(file), std::move(variable)));
  if (found) return std::move(found->value);
  if (asked || found.error() != errc::not_found) return found.error();
  return std::string();
}

result<std::string> find_or_make_cookie(std::optional<std::string> file, std::optional<std::string> variable) {
  auto found = find_cookie(file, variable);
  if (!found || !found->empty()) return found;
  auto made = bus::load_or_create_cookie(sources_with(std::move(file), std::move(variable)), *system_random());
  return made ? std::move(made->value) : std::string();
}

}  // namespace troupe::internal
