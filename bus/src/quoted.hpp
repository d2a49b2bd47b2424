#pragma once
// Text from anybody, made fit for an error or a log line.
#include <cstddef>
#include <string>
#include <string_view>

namespace troupe::internal {

// In quotes and escaped as `value::print` does, cut with "…" behind `width` bytes.
[[nodiscard]] std::string quoted(std::string_view text, std::size_t width = 80);

// A name that Lua takes as a key without quotes.
[[nodiscard]] bool is_identifier(std::string_view text) noexcept;

}  // namespace troupe::internal
