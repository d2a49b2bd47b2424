#include "boot/local_nodes.hpp"
#include "troupe/command.hpp"
#include "troupe/output.hpp"

namespace troupe::tool {
namespace {

int run(const parsed_options& given) {
  auto folder = internal::local_nodes_folder();
  if (!folder) return complain("names", folder.error());
  auto found = internal::local_nodes();
  if (!found) return complain("names", found.error());
  if (given.has("json")) {
    list out;
    for (const auto& entry : *found) {
      list where;
      for (const std::string& endpoint : entry.endpoints) where.emplace_back(endpoint);
      out.push_back(map_of({{"name", value(entry.name)},
                            {"pid", value(entry.os_pid)},
                            {"application", value(entry.application)},
                            {"version", value(entry.version)},
                            {"endpoints", value(std::move(where))}}));
    }
    emit_json(value(std::move(out)));
    return internal::exit_ok;
  }
  table shown({"NAME", "PID", "APPLICATION", "VERSION", "ENDPOINTS"});
  for (const auto& entry : *found) {
    std::string where;
    for (const std::string& endpoint : entry.endpoints) where += (where.empty() ? "" : " ") + endpoint;
    shown.row({entry.name, std::to_string(entry.os_pid), entry.application, entry.version, where});
  }
  emit(found->empty() ? "no node runs here (" + *folder + ")\n" : shown.text());
  return internal::exit_ok;
}

}  // namespace

command names_command() {
  command_table rows;
  rows.name = "names";
  rows.summary = "The nodes of this host.";
  rows.options = {{"--json", takes::nothing, "", "as JSON, in a shape that stays"}};
  rows.example = "troupe names";
  return {std::move(rows), run};
}

}  // namespace troupe::tool
