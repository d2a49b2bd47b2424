#include <troupe/utf8.hpp>

#include <algorithm>

namespace troupe {

bool is_utf8(std::string_view text) noexcept {
  for (std::size_t i = 0; i < text.size();) {
    const auto at = [&](std::size_t n) { return n < text.size() ? static_cast<unsigned char>(text[n]) : 0u; };
    const unsigned head = at(i);
    if (head < 0x80) {
      ++i;
      continue;
    }
    const std::size_t size = head >= 0xf0 ? 4 : head >= 0xe0 ? 3 : 2;
    if (head < 0xc2 || head > 0xf4) return false;
    for (std::size_t k = 1; k < size; ++k) {
      if ((at(i + k) & 0xc0) != 0x80) return false;
    }
    const unsigned second = at(i + 1);
    if ((head == 0xe0 && second < 0xa0) || (head == 0xed && second > 0x9f) || (head == 0xf0 && second < 0x90) ||
        (head == 0xf4 && second > 0x8f)) {
      return false;
    }
    i += size;
  }
  return true;
}

std::size_t printable_character(std::string_view text) noexcept {
  if (text.empty()) return 0;
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(text[i]) + 0u; };
  const unsigned head = at(0);
  if (head < 0x80) return head >= 0x20 && head != 0x7f ? 1 : 0;
  const std::size_t size = head >= 0xf0 ? 4 : head >= 0xe0 ? 3 : 2;
  if (text.size() < size || !is_utf8(text.substr(0, size))) return 0;
  char32_t code = head & (0xffu >> (size + 1));
  for (std::size_t i = 1; i < size; ++i) code = code << 6 | (at(i) & 0x3f);
  const auto within = [code](char32_t first, char32_t last) { return code >= first && code <= last; };
  const bool control = within(0x80, 0x9f);
  const bool turns = code == 0x61c || within(0x200e, 0x200f) || within(0x202a, 0x202e) || within(0x2066, 0x2069);
  const bool breaks = within(0x2028, 0x2029);
  const bool unseen = code == 0x200b || within(0x2060, 0x2064) || within(0x206a, 0x206f) || code == 0xfeff ||
                      within(0xfff9, 0xfffb) || within(0xe0000, 0xe007f);
  return control || turns || breaks || unseen ? 0 : size;
}

std::string for_terminal(std::string_view text) {
  constexpr std::string_view hex = "0123456789abcdef";
  const auto plain = [](char c) { return (c >= 0x20 && c < 0x7f) || c == '\n' || c == '\t'; };
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const auto end = std::find_if_not(text.begin(), text.end(), plain);
    out.append(text.begin(), end);
    text.remove_prefix(static_cast<std::size_t>(end - text.begin()));
    if (text.empty()) break;
    const std::size_t size = printable_character(text);
    if (size > 0) {
      out.append(text, 0, size);
    } else {
      const auto byte = static_cast<unsigned char>(text.front());
      out += "\\x";
      out += hex[byte >> 4];
      out += hex[byte & 15];
    }
    text.remove_prefix(std::max<std::size_t>(size, 1));
  }
  return out;
}

}  // namespace troupe
