#pragma once
// Where a program's configuration comes from, in the order in which later wins:
//     the schema's defaults
//     config/config.toml           or the files of --config
//     config/ENV.toml              beside each of them, when it is there; ENV is --env, TROUPE_ENV, else "dev"
//     the file of TROUPE_CONFIG    what a host says, outside of the release
//     TROUPE__EXERCISE__TICK=5ms   sets exercise.tick
//     the options of the command line
#include <optional>
#include <string>
#include <vector>

#include <troupe/config.hpp>

#include "boot/options.hpp"

namespace troupe::internal {

struct config_sources {
  std::vector<std::string> files;
  std::string environment = "dev";
  std::string environment_said_by = "default";  // "--env", "TROUPE_ENV"
  std::string runtime_file;
  std::vector<std::string> variables;  // of the system's environment, as they stand there
};

// `variables`: as environ, ended by a null.
[[nodiscard]] config_sources find_config_sources(const parsed_options& given, const char* const* variables);
// Errors are the loader's: what cannot be read, an environment that no file describes, a variable that names no key.
void read_config_sources(const config_sources& from, config_loader& into);
void read_config_variables(const config_sources& from, config_loader& into);  // of these, the variables alone

// Those of the variables that set a secret key: TROUPE__DB__PASSWORD.
[[nodiscard]] std::vector<std::string> secret_key_variables(const config_schema& schema, const char* const* variables);

}  // namespace troupe::internal
