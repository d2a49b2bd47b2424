#pragma once
// A TOML document as plain values with positions: the one door to toml++.
#include <string>
#include <string_view>
#include <vector>

#include <troupe/value.hpp>

namespace troupe::internal {

// One `key = value` of a document, in the document's order. A table of the document is no value: its keys are, under
// their full path. An array of tables is a list of maps.
struct toml_entry {
  std::string path;  // "exercise.tick"
  value content;     // nil, and `empty_table` set, for a table without keys
  bool empty_table = false;
  unsigned line = 0;
};

// `name` is for the errors: errc::bad_config "NAME:LINE: what is wrong". Dates and times are refused.
[[nodiscard]] result<std::vector<toml_entry>> parse_toml(std::string_view text, const std::string& name);
// errc::not_found or io for a file that cannot be read.
[[nodiscard]] result<std::vector<toml_entry>> read_toml(const std::string& path);

// A list of texts where all is text, in a variable or an option: as TOML, `["a@*", "b"]`, or with commas, `a@*, b`.
// errc::bad_config for what is neither, and for an item that is empty.
[[nodiscard]] result<list> parse_texts(std::string_view text);

// The text of a whole file, at most 16 MiB.
[[nodiscard]] result<std::string> read_whole_file(const std::string& path);

}  // namespace troupe::internal
