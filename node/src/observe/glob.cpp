#include "observe/glob.hpp"

#include <troupe/catalogue.hpp>

#include <cstddef>

namespace troupe::internal {

bool glob_match(std::string_view pattern, std::string_view text) noexcept {
  std::size_t p = 0;
  std::size_t t = 0;
  std::size_t star = std::string_view::npos;
  std::size_t resume = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = t;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t])) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

bool function_match(std::string_view pattern, std::string_view function) noexcept {
  return glob_match(pattern, function) || (!is_glob(pattern) && pattern == module_of(function));
}

}  // namespace troupe::internal
