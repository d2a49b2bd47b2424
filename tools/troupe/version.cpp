#include "troupe/command.hpp"
#include "troupe/output.hpp"

namespace troupe::tool {

command version_command() {
  command_table rows;
  rows.name = "version";
  rows.summary = "The version of this tool.";
  rows.example = "troupe version";
  return {std::move(rows), [](const parsed_options&) {
            emit("troupe " TROUPE_VERSION "\n");
            return static_cast<int>(internal::exit_ok);
          }};
}

}  // namespace troupe::tool
