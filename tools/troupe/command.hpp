#pragma once
// A subcommand of `troupe`: a table of options and a function that is given what was parsed and returns the exit code.
#include <functional>
#include <string>
#include <vector>

#include "boot/options.hpp"

namespace troupe::tool {

using internal::argument_row;
using internal::command_table;
using internal::option_row;
using internal::parsed_options;
using internal::takes;

struct command {
  command_table table;  // its name without "troupe": one word, or two ("release build")
  std::function<int(const parsed_options& given)> run;
};

// All of them, as `troupe` lists them.
[[nodiscard]] const std::vector<command>& commands();
// Finds the command, parses, runs it. Usage errors go to stderr: exit code 2.
[[nodiscard]] int dispatch(const std::vector<command>& known, std::vector<std::string> words);

// One each, in the file of its name.
[[nodiscard]] command names_command();
[[nodiscard]] command ping_command();
[[nodiscard]] command nodes_command();
[[nodiscard]] command ps_command();
[[nodiscard]] command info_command();
[[nodiscard]] command tree_command();
[[nodiscard]] command registry_command();
[[nodiscard]] command functions_command();
[[nodiscard]] command state_command();
[[nodiscard]] command config_command();
[[nodiscard]] command config_explain_command();
[[nodiscard]] command rpc_command();
[[nodiscard]] command watch_command();
[[nodiscard]] command trace_command();
[[nodiscard]] command send_command();
[[nodiscard]] command exit_command();
[[nodiscard]] command stop_command();
[[nodiscard]] command log_command();
[[nodiscard]] command shell_command();
[[nodiscard]] command remote_command();
[[nodiscard]] command keygen_command();
[[nodiscard]] command tidy_command();
[[nodiscard]] command version_command();

// The rows of every command that asks a node of this host: --timeout, --cookie-file, and with `json` --json.
[[nodiscard]] std::vector<option_row> with_session_here(std::vector<option_row> own, bool json = true);
// The same for a node of any host: --peer and --config, too.
[[nodiscard]] std::vector<option_row> with_session(std::vector<option_row> own, bool json = true);
[[nodiscard]] inline argument_row node_argument() {
  return {"NODE", "a node: exercise, which is exercise@localhost; one of another host needs --peer"};
}
[[nodiscard]] inline argument_row node_here_argument() {
  return {"NODE", "name of a node of this host: exercise or exercise@localhost"};
}

}  // namespace troupe::tool
