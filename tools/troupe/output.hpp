#pragma once
// What tools print: tables for people, JSON for programs, complaints for stderr.
#include <string>
#include <string_view>
#include <vector>

#include <troupe/error.hpp>
#include <troupe/utf8.hpp>
#include <troupe/value.hpp>

namespace troupe::tool {

// The last step before a terminal, for all that a tool writes, is for_terminal: emit for standard output,
// guard_standard_error for what goes to std::cerr. To standard output, whole, from any thread. A closed one ends the
// program, as it would a filter.
void emit(std::string_view text);
void emit_printed(std::string_view text);  // what a function printed: as it is, unless standard output is a terminal
void emit_control(std::string_view text);  // as it is: our own moves of the cursor
// From now on; before the first thread.
void guard_standard_error();
void emit_json(const value& what);  // one line

// Columns as wide as their widest cell, numbers to the right; the last column is not padded.
class table {
 public:
  explicit table(std::vector<std::string> heads) : heads_(std::move(heads)) {}
  void row(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  [[nodiscard]] std::string text() const;

 private:
  std::vector<std::string> heads_;
  std::vector<std::vector<std::string>> rows_;
};

// A cell or a line: texts without quotes, everything else as a value prints.
[[nodiscard]] std::string plain(const value& what);
[[nodiscard]] std::string plain_at(const value& map, std::string_view key);
// key: value, one a line, nested maps indented.
[[nodiscard]] std::string lines_of(const value& map, std::size_t indent = 0);
[[nodiscard]] std::string byte_count(std::uint64_t bytes);  // "1.2 MiB"
[[nodiscard]] std::string time_of_day();                    // "01:02:03.456", local

// An argument as it is typed: JSON, a pid, else a text.
[[nodiscard]] value parse_argument(const std::string& word);

// "troupe ping: noconnection: …" to stderr; the exit code of it.
int complain(std::string_view command, const error& why);

}  // namespace troupe::tool
