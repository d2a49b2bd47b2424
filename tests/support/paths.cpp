#include "support/paths.hpp"

#include <cstdlib>

namespace troupe::test {
namespace {

std::string or_default(const char* variable, const char* built_in) {
  const char* text = std::getenv(variable);
  return text != nullptr && *text != '\0' ? text : built_in;
}

}  // namespace

std::string tool_path() { return or_default("TROUPE_TOOL", TROUPE_TOOL); }
std::string exercise_path() { return or_default("TROUPE_EXERCISE", TROUPE_EXERCISE); }
std::string build_dir() { return or_default("TROUPE_BUILD_DIR", TROUPE_BUILD_DIR); }
std::string source_dir() { return or_default("TROUPE_SOURCE_DIR", TROUPE_SOURCE_DIR); }

}  // namespace troupe::test
