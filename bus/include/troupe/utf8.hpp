#pragma once
// Is a text one? msgpack's texts are UTF-8 (bus/PROTOCOL.md, "Values"); what is not goes as bytes.
#include <cstddef>
#include <string>
#include <string_view>

namespace troupe {

// Overlong forms, surrogates and what lies above U+10FFFF are no UTF-8.
[[nodiscard]] bool is_utf8(std::string_view text) noexcept;

// Bytes of the character that `text` begins with, 0 when it is none that a terminal may get: broken, a control
// character (those of C1 too, which some terminals obey), or one that turns the order of what is shown, breaks the line
// or is not to be seen, so that a text looks like another one.
[[nodiscard]] std::size_t printable_character(std::string_view text) noexcept;

// Fit for a terminal or a log, wherever it comes from: whatever is no printable character, line break or tab is shown
// as \xNN, byte by byte.
[[nodiscard]] std::string for_terminal(std::string_view text);

}  // namespace troupe
