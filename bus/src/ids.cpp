#include <troupe/ids.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include <troupe/expect.hpp>

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

std::string id_text(std::string_view before, std::uint64_t key, std::uint64_t id) {
  std::string text(before);
  const node_life* life = key ? life_of(key) : nullptr;
  text += life ? std::string_view(life->name) : key ? nonode : nobody;
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

// Never by name: a life may be forgotten while its pids stand in somebody's map.
template <class Id>
std::strong_ordering compare(const Id& a, const Id& b) noexcept {
  if (auto order = a.life_key() <=> b.life_key(); order != 0) return order;
  return a.id() <=> b.id();
}

// Never destroyed: pids may be used until the very end.
internal::life_table& lives() {
  static internal::life_table& table = *new internal::life_table(life_limit);
  return table;
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

namespace internal {

life_table::~life_table() {
  for (auto& each : lives_) delete each.second;
  for (auto& each : chunks_) delete each.load();
}

std::atomic<life_table::entry*>* life_table::slot(std::size_t index) {
  auto& held = chunks_[index / std::tuple_size_v<chunk>];
  if (!held.load(std::memory_order_relaxed)) held.store(new chunk(), std::memory_order_release);
  return &(*held.load(std::memory_order_relaxed))[index % std::tuple_size_v<chunk>];
}

result<std::size_t> life_table::free_slot() {
  if (lives_.size() < limit_) return lives_.size();
  std::optional<std::size_t> index;
  // A whole round for nothing costs too much to be tried by each newcomer.
  if (spared_ < limit_ / 4 * 3) index = forget_one(false);
  if (!index) index = forget_one(true);
  if (index) return *index;
  return error(errc::system_limit, "too many lives of nodes are held");
}

std::optional<std::size_t> life_table::forget_one(bool spared_too) {
  for (std::size_t tries = 0; tries < 2 * limit_; ++tries) {
    const std::size_t index = hand_;
    hand_ = (hand_ + 1) % limit_;
    std::atomic<entry*>& at = *slot(index);
    entry* each = at.load(std::memory_order_relaxed);
    if (each->held || (each->spared && !spared_too)) continue;
    if (each->seen.exchange(false, std::memory_order_relaxed)) continue;
    if (each->spared) {
      TROUPE_EXPECT(spared_ > 0, "life", each->name, "creation", each->creation);
      --spared_;
    }
    lives_.erase({each->name, each->creation});
    at.store(nullptr, std::memory_order_release);
    forgotten_.emplace_back(each);
    if (forgotten_.size() > limit_) forgotten_.pop_front();
    return index;
  }
  return std::nullopt;
}

void life_table::spare(const node_life* life) noexcept {
  const std::lock_guard lock(mutex_);
  auto* each = const_cast<entry*>(static_cast<const entry*>(life));
  if (!std::exchange(each->spared, true)) ++spared_;
}

result<const node_life*> life_table::intern(std::string_view name, std::uint64_t creation, bool hold) {
  const std::lock_guard lock(mutex_);
  auto found = lives_.find({name, creation});
  if (found == lives_.end()) {
    if (auto legal = check_node_name(name); !legal) return legal.error();
    auto index = free_slot();
    if (!index) return index.error();
    auto made = std::make_unique<entry>();
    made->name = name;
    made->creation = creation;
    made->key = ++made_ * most + *index;
    found = lives_.emplace(name_and_creation{made->name, creation}, made.get()).first;
    slot(*index)->store(made.release(), std::memory_order_release);
  } else {
    seen(found->second);
  }
  entry* each = found->second;
  if (hold) ++each->held;
  return each;
}

void life_table::release(const node_life* life) noexcept {
  const std::lock_guard lock(mutex_);
  auto* each = const_cast<entry*>(static_cast<const entry*>(life));
  TROUPE_EXPECT(each->held > 0, "life", each->name, "creation", each->creation);
  --each->held;
  each->seen.store(true, std::memory_order_relaxed);
}

const node_life* life_table::find(std::uint64_t key) const noexcept {
  const std::size_t index = key % most;
  const chunk* held = chunks_[index / std::tuple_size_v<chunk>].load(std::memory_order_acquire);
  if (!held) return nullptr;
  const entry* each = (*held)[index % std::tuple_size_v<chunk>].load(std::memory_order_acquire);
  return each && each->key == key ? each : nullptr;
}

void life_table::seen(const node_life* life) noexcept {
  auto* each = const_cast<entry*>(static_cast<const entry*>(life));
  if (!each->seen.load(std::memory_order_relaxed)) each->seen.store(true, std::memory_order_relaxed);
}

}  // namespace internal

result<const node_life*> intern_life(std::string_view name, std::uint64_t creation) {
  // Almost every pid read is of one of the few lives read just before: those cost no lock.
  constinit static thread_local std::array<std::uint64_t, 16> recent{};
  std::uint64_t& key = recent[(creation ^ (creation >> 32) ^ name.size()) % recent.size()];
  const node_life* known = key ? lives().find(key) : nullptr;
  if (known && known->creation == creation && known->name == name) {
    lives().seen(known);
    return known;
  }
  auto life = lives().intern(name, creation);
  if (life) key = (*life)->key;
  return life;
}

void internal::spare_life(std::string_view name, std::uint64_t creation) {
  if (auto held = held_life::hold(name, creation)) lives().spare(held->get());
}

const node_life* life_of(std::uint64_t key) noexcept { return lives().find(key); }

result<held_life> held_life::hold(std::string_view name, std::uint64_t creation) {
  auto life = lives().intern(name, creation, true);
  if (!life) return life.error();
  return held_life(*life);
}

held_life::~held_life() {
  if (life_) lives().release(life_);
}

std::string pid::text() const { return id_text("<", life_, id_); }
result<pid> pid::parse(std::string_view text) { return parse_id<pid>("<", "pid", text); }
std::strong_ordering operator<=>(const pid& a, const pid& b) noexcept { return compare(a, b); }

std::string ref::text() const { return id_text("#ref<", life_, id_); }
result<ref> ref::parse(std::string_view text) { return parse_id<ref>("#ref<", "reference", text); }
std::strong_ordering operator<=>(const ref& a, const ref& b) noexcept { return compare(a, b); }

}  // namespace troupe
