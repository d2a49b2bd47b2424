#include "names.hpp"

#include <algorithm>

namespace troupe::internal {
namespace {

constexpr std::size_t longest = 64;

bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return is_lower(c) || (c >= 'A' && c <= 'Z'); }

bool all_of(std::string_view text, bool (*accepts)(char)) {
  return !text.empty() && text.size() <= longest && std::all_of(text.begin(), text.end(), accepts);
}

}  // namespace

bool is_release_name(std::string_view text) {
  return all_of(text, [](char c) { return is_lower(c) || is_digit(c) || c == '_'; }) && is_lower(text[0]);
}

bool is_version(std::string_view text) {
  bool legal = all_of(text, [](char c) {
    return is_letter(c) || is_digit(c) || c == '.' || c == '_' || c == '+' || c == '~' || c == '-';
  });
  // The other two things that stand in releases/.
  return legal && (is_letter(text[0]) || is_digit(text[0])) && text != "current" && text != "COOKIE";
}

bool is_node_part(std::string_view text) {
  return all_of(text, [](char c) { return is_letter(c) || is_digit(c) || c == '_' || c == '-'; });
}

std::string no_version(std::string_view text) {
  return "\"" + std::string(text) + "\" is no version: a letter or digit, then letters, digits and any of . _ + ~ -";
}

}  // namespace troupe::internal
