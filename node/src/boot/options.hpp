#pragma once
// Command lines: a command is a table of its options, and a parse gives values, usage errors, or help. Nothing is
// called back: whoever parses dispatches. Shared by troupe::run and the `troupe` tool.
#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <troupe/error.hpp>
#include <troupe/time.hpp>

namespace troupe::internal {

// What a program's exit code says: part of the contract (tools/README.md).
enum exit_status : int {
  exit_ok = 0,
  exit_failed = 1,
  exit_usage = 2,
  exit_unreachable = 3,
  exit_timeout = 4,
  exit_refused = 5
};
[[nodiscard]] int exit_code(const error& why) noexcept;

enum class takes { nothing, text, count, time };

struct option_row {
  const char* name;  // "--limit", or "-n,--limit"
  takes kind = takes::nothing;
  const char* value = "";  // how help calls the value: "N"
  const char* help = "";
  bool repeated = false;
  bool required = false;
};

struct argument_row {
  const char* name;  // "NODE"
  const char* help = "";
  bool required = true;
  bool repeated = false;  // the last one: all that follows, options no longer looked for after `--`
};

struct command_table {
  std::string name;  // as it is typed: "troupe ping"
  std::string summary;
  std::vector<argument_row> arguments;
  std::vector<option_row> options;
  std::string example;  // one or more lines, without prompt
  std::string notes;    // more of the help, after the options
};

// Values by their long name without dashes ("limit") or the argument's name ("NODE").
class parsed_options {
 public:
  [[nodiscard]] bool has(std::string_view name) const noexcept;
  [[nodiscard]] std::string text(std::string_view name, std::string_view otherwise = {}) const;
  [[nodiscard]] const std::vector<std::string>& all(std::string_view name) const noexcept;
  [[nodiscard]] std::int64_t count(std::string_view name, std::int64_t otherwise = 0) const;
  [[nodiscard]] duration time(std::string_view name, duration otherwise) const;

 private:
  friend class option_parser;
  std::map<std::string, std::vector<std::string>, std::less<>> values_;
};

struct parse_result {
  std::optional<parsed_options> values;
  std::string text;      // help or the usage error, when there are no values
  int status = exit_ok;  // exit_ok for help
};

// `words` without the program's name. Every command knows -h, --help. A number such as -5 is a value, never an option.
[[nodiscard]] parse_result parse_command(const command_table& table, std::vector<std::string> words);
[[nodiscard]] std::string usage_line(const command_table& table);
[[nodiscard]] std::string help_text(const command_table& table);

}  // namespace troupe::internal
