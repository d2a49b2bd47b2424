#pragma once
// Is a text one? msgpack's texts are UTF-8 (bus/PROTOCOL.md, "Values"); what is not goes as bytes.
#include <string_view>

namespace troupe {

// Overlong forms, surrogates and what lies above U+10FFFF are no UTF-8.
[[nodiscard]] bool is_utf8(std::string_view text) noexcept;

}  // namespace troupe
