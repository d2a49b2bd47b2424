#include <troupe/value.hpp>

#include <troupe/utf8.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "quoted.hpp"

namespace troupe {
namespace {

constexpr std::string_view ellipsis = "…";

// Builds the line piece by piece; a piece that does not fit whole ends it, so no character or escape is cut in two.
class printer {
 public:
  explicit printer(std::size_t width) : width_(width) {}

  std::string finish() && {
    if (full_) out_ += ellipsis;
    return std::move(out_);
  }

  void print(const value& v, std::size_t depth) {
    using kind = value::kind;
    switch (v.type()) {
      case kind::nil: return add("nil");
      case kind::boolean: return add(*v.boolean() ? "true" : "false");
      case kind::integer: return add(*v.integer() == INT64_MIN ? "math.mininteger" : std::to_string(*v.integer()));
      case kind::unsigned_integer: return add(std::to_string(*v.unsigned_integer()));
      case kind::real: return real(*v.real());
      case kind::text: return text(*v.text());
      case kind::bytes: return hex("bytes(\"", *v.binary());
      case kind::list: return items(*v.items(), depth);
      case kind::map: return entries(*v.entries(), depth);
      case kind::pid: return add(v.process()->text());
      case kind::ref: return add(v.reference()->text());
      case kind::ext: return hex("ext(" + std::to_string(v.ext()->type) + ", \"", v.ext()->data);
    }
  }

  void text(std::string_view text) {
    add("\"");
    while (!text.empty() && !full_) {
      std::size_t used = 1;
      switch (text.front()) {
        case '"': add("\\\""); break;
        case '\\': add("\\\\"); break;
        case '\n': add("\\n"); break;
        case '\t': add("\\t"); break;
        case '\r': add("\\r"); break;
        default:
          used = printable_character(text);
          if (used == 0) {
            escape(static_cast<unsigned char>(text.front()));
            used = 1;
          } else {
            add(text.substr(0, used));
          }
      }
      text.remove_prefix(used);
    }
    add("\"");
  }

 private:
  void add(std::string_view piece) {
    if (full_ || piece.size() > width_ - out_.size()) {
      full_ = true;
      return;
    }
    out_ += piece;
  }

  void escape(unsigned char byte) {
    const char digits[] = {'\\', static_cast<char>('0' + byte / 100), static_cast<char>('0' + byte / 10 % 10),
                           static_cast<char>('0' + byte % 10)};
    add({digits, sizeof digits});
  }

  void real(double number) {
    if (std::isnan(number)) return add("0/0");
    if (std::isinf(number)) return add(number > 0 ? "math.huge" : "-math.huge");
    std::array<char, 32> digits;
    std::string_view text(digits.data(), std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr);
    add(text.find_first_of(".e") == std::string_view::npos ? std::string(text) + ".0" : std::string(text));
  }

  void hex(std::string_view before, const bytes& data) {
    constexpr std::string_view digits = "0123456789abcdef";
    add(before);
    for (std::byte b : data) {
      if (full_) return;
      const auto number = std::to_integer<unsigned>(b);
      const char piece[] = {'\\', 'x', digits[number >> 4], digits[number & 15]};
      add({piece, sizeof piece});
    }
    add("\")");
  }

  void items(const list& all, std::size_t depth) {
    if (depth == 0) return add(ellipsis);
    add("{");
    for (std::size_t i = 0; i < all.size() && !full_; ++i) {
      if (i > 0) add(", ");
      print(all[i], depth - 1);
    }
    add("}");
  }

  void entries(const map& all, std::size_t depth) {
    if (depth == 0) return add(ellipsis);
    add("{");
    for (std::size_t i = 0; i < all.size() && !full_; ++i) {
      if (i > 0) add(", ");
      const auto& [key, item] = all[i];
      if (auto* name = key.text(); name && internal::is_identifier(*name)) {
        add(*name);
      } else {
        add("[");
        print(key, depth - 1);
        add("]");
      }
      add(" = ");
      print(item, depth - 1);
    }
    add("}");
  }

  const std::size_t width_;
  std::string out_;
  bool full_ = false;
};

}  // namespace

std::string value::print(std::size_t depth, std::size_t width) const {
  printer p(width);
  p.print(*this, depth);
  return std::move(p).finish();
}

std::string internal::quoted(std::string_view text, std::size_t width) {
  printer p(width);
  p.text(text);
  return std::move(p).finish();
}

bool internal::is_identifier(std::string_view text) noexcept {
  constexpr std::array<std::string_view, 22> keywords{
      "and", "break", "do",  "else", "elseif", "end",    "false",  "for",  "function", "goto",  "if",
      "in",  "local", "nil", "not",  "or",     "repeat", "return", "then", "true",     "until", "while"};
  auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  auto digit = [](char c) { return c >= '0' && c <= '9'; };
  return !text.empty() && !digit(text.front()) &&
         std::ranges::all_of(text, [&](char c) { return letter(c) || digit(c); }) &&
         std::ranges::find(keywords, text) == keywords.end();
}

}  // namespace troupe
