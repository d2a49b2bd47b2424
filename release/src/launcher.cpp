#include "launcher.hpp"

namespace troupe::internal {

std::string launcher_script(std::string_view release_name) {
  constexpr std::string_view mark = "@RELEASE_NAME@";
  std::string out(launcher_template);
  for (std::size_t at = out.find(mark); at != std::string::npos; at = out.find(mark, at + release_name.size())) {
    out.replace(at, mark.size(), release_name);
  }
  return out;
}

}  // namespace troupe::internal
