#pragma once
#include <string>
#include <string_view>

namespace troupe::internal {

// release/templates/launcher.sh.in as it was when this was compiled.
extern const std::string_view launcher_template;

// bin/NAME of a release.
[[nodiscard]] std::string launcher_script(std::string_view release_name);

}  // namespace troupe::internal
