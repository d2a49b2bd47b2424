#pragma once
// What may be a part of a path or of a line of the launcher: everything that comes from a manifest is checked here
// once, so that nothing needs quoting later.
#include <string>
#include <string_view>

namespace troupe::internal {

[[nodiscard]] bool is_release_name(std::string_view text);  // [a-z][a-z0-9_]*, at most 64
[[nodiscard]] bool is_version(std::string_view text);       // [A-Za-z0-9][A-Za-z0-9._+~-]*, at most 64
[[nodiscard]] bool is_node_part(std::string_view text);     // [A-Za-z0-9_-]+, at most 64
[[nodiscard]] std::string no_version(std::string_view text);

}  // namespace troupe::internal
