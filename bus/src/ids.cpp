#include <troupe/ids.hpp>

#include <algorithm>
#include <array>
#include <charconv>

#include "life_table.hpp"
#include "quoted.hpp"

namespace troupe {
namespace {

constexpr std::size_t part_limit = 100;
constexpr std::string_view nobody = "nobody";  // without '@': no node can have that name

bool is_name_byte(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
}

bool is_part(std::string_view part) noexcept {
  return !part.empty() && part.size() <= part_limit && std::ranges::all_of(part, is_name_byte);
}

// Names come from strangers too: an error never repeats more of one than a line holds.
error bad_name(std::string_view name) {
  return error(errc::bad_name, internal::quoted(name) +
                                   " is not a node name (part@host, each 1 to 100 letters, digits, '_', '-', '.')");
}

void append_number(std::string& text, std::uint64_t number, int base) {
  std::array<char, 20> digits;
  text.append(digits.data(), std::to_chars(digits.data(), digits.data() + digits.size(), number, base).ptr);
}

std::string id_text(std::string_view before, const node_life* life, std::uint64_t id) {
  std::string text(before);
  text += life ? std::string_view(life->name) : nobody;
  text += '#';
  append_number(text, life ? life->creation : 0, 16);
  text += '.';
  append_number(text, id, 10);
  text += '>';
  return text;
}

// One text per number: no sign, no leading zero, no upper-case digit.
bool parse_number(std::string_view text, int base, std::uint64_t& out) noexcept {
  if (text.empty() || (text.size() > 1 && text.front() == '0')) return false;
  if (std::ranges::any_of(text, [](char c) { return c >= 'A' && c <= 'F'; })) return false;
  auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), out, base);
  return ec == std::errc{} && end == text.data() + text.size();
}

template <class Id>
result<Id> parse_id(std::string_view before, std::string_view what, std::string_view text) {
  auto malformed = [&] { return error(errc::bad_argument, internal::quoted(text) + " is not a " + std::string(what)); };
  if (!text.starts_with(before) || !text.ends_with('>')) return malformed();
  std::string_view inner = text.substr(before.size(), text.size() - before.size() - 1);
  const auto hash = inner.find('#');
  if (hash == std::string_view::npos) return malformed();
  const std::string_view name = inner.substr(0, hash);
  inner.remove_prefix(hash + 1);
  const auto dot = inner.find('.');
  std::uint64_t creation = 0;
  std::uint64_t id = 0;
  if (dot == std::string_view::npos || !parse_number(inner.substr(0, dot), 16, creation) ||
      !parse_number(inner.substr(dot + 1), 10, id)) {
    return malformed();
  }
  if (name == nobody) {
    if (creation != 0) return malformed();
    return Id(nullptr, id);
  }
  auto life = intern_life(name, creation);
  if (!life) return life.error();
  return Id(*life, id);
}

std::strong_ordering compare(const node_life* a, std::uint64_t a_id, const node_life* b, std::uint64_t b_id) noexcept {
  if (a == b) return a_id <=> b_id;
  if (!a || !b) return b ? std::strong_ordering::less : std::strong_ordering::greater;
  if (auto order = a->name <=> b->name; order != 0) return order;
  return a->creation <=> b->creation;  // never equal: equal lives have one address
}

}  // namespace

result<void> check_node_name(std::string_view name) {
  const auto at = name.find('@');
  if (at == std::string_view::npos || !is_part(name.substr(0, at)) || !is_part(name.substr(at + 1)))
    return bad_name(name);
  return {};
}

result<std::string> complete_node_name(std::string_view name) {
  std::string whole(name);
  if (name.find('@') == std::string_view::npos) whole += "@localhost";
  if (auto legal = check_node_name(whole); !legal) return bad_name(name);
  return whole;
}

result<const node_life*> internal::life_table::intern(std::string_view name, std::uint64_t creation) {
  const std::lock_guard lock(mutex_);
  if (auto found = lives_.find(key(name, creation)); found != lives_.end()) return &*found;
  if (auto legal = check_node_name(name); !legal) return legal.error();
  if (lives_.size() >= limit_) return error(errc::system_limit, "too many lives of nodes seen");
  return &*lives_.insert(node_life{std::string(name), creation}).first;
}

result<const node_life*> intern_life(std::string_view name, std::uint64_t creation) {
  // Almost every pid read is of one of the few lives read just before: those cost no lock.
  constinit static thread_local std::array<const node_life*, 16> recent{};
  static internal::life_table& table = *new internal::life_table(life_limit);  // pids may be used until the very end
  const node_life*& slot = recent[(creation ^ (creation >> 32) ^ name.size()) % recent.size()];
  if (slot && slot->creation == creation && slot->name == name) return slot;
  auto life = table.intern(name, creation);
  if (life) slot = *life;
  return life;
}

std::string pid::text() const { return id_text("<", life_, id_); }
result<pid> pid::parse(std::string_view text) { return parse_id<pid>("<", "pid", text); }
std::strong_ordering operator<=>(const pid& a, const pid& b) noexcept {
  return compare(a.life_, a.id_, b.life_, b.id_);
}

std::string ref::text() const { return id_text("#ref<", life_, id_); }
result<ref> ref::parse(std::string_view text) { return parse_id<ref>("#ref<", "reference", text); }
std::strong_ordering operator<=>(const ref& a, const ref& b) noexcept {
  return compare(a.life_, a.id_, b.life_, b.id_);
}

}  // namespace troupe
