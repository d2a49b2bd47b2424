#pragma once
// Values as JSON, for `--json` and JSON log lines, and back. What JSON has no form for:
//     pid, ref        their text: "<name@host#1f.5>", "#ref<…>"; they come back as texts
//     bytes           {"$bytes": "base64"}
//     nan, ±infinity  {"$float": "nan" | "inf" | "-inf"}
//     extension       {"$ext": [type, "base64"]}
//     map with a key that is no text, or twice the same  {"$map": [[key, value], …]}
// A text that is no UTF-8 has its wrong bytes replaced by U+FFFD. Order of maps is kept.
#include <string>
#include <string_view>

#include <troupe/error.hpp>
#include <troupe/limits.hpp>
#include <troupe/value.hpp>

namespace troupe::internal {

// One line, or with `indent` spaces a level. Nesting beyond `depth` becomes the text "…".
[[nodiscard]] std::string to_json(const value& from, int indent = -1, std::size_t depth = 128);
// errc::bad_message with the place; too_large for what nests deeper than `budget.depth`. A map with twice the same key
// keeps the last.
[[nodiscard]] result<value> from_json(std::string_view text, const limits& budget = {});

}  // namespace troupe::internal
