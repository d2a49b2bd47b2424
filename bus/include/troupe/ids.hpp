#pragma once
// Names that travel: a node's life, pids and references. All three are small values that copy like integers.
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include <troupe/error.hpp>

namespace troupe {

// One life of a node: its name and the creation it drew at start. Interned, so that a pid is two words and copies
// without counting. The table remembers `life_limit` lives; only authenticated peers can add to it. When it is full, a
// life that nothing holds and that was not seen lately makes place: tools that came and went by the thousand first,
// nodes that were connected last. A pid that is still kept of such a life then belongs to `nonode`, equals no pid of
// any other life, and reaches nobody.
struct node_life {
  std::string name;  // "part@host"; "nonode@nohost" for a node that is not alive
  std::uint64_t creation = 0;
  std::uint64_t key = 0;  // of this entry, never 0, never given again
};

inline constexpr std::size_t life_limit = 1u << 16;

// errc::bad_name for an illegal name, errc::system_limit when the table is full of held lives. Thread-safe, as are the
// others. The pointer is good for as long as the life is held or remembered.
[[nodiscard]] result<const node_life*> intern_life(std::string_view name, std::uint64_t creation);
// The life of a key; nullptr once it is forgotten.
[[nodiscard]] const node_life* life_of(std::uint64_t key) noexcept;

// A life that is never forgotten while this lasts: a node's own, a connected peer's.
class held_life {
 public:
  held_life() noexcept = default;
  [[nodiscard]] static result<held_life> hold(std::string_view name, std::uint64_t creation);
  held_life(held_life&& other) noexcept : life_(std::exchange(other.life_, nullptr)) {}
  held_life& operator=(held_life&& other) noexcept {
    std::swap(life_, other.life_);
    return *this;
  }
  ~held_life();

  [[nodiscard]] const node_life* get() const noexcept { return life_; }

 private:
  explicit held_life(const node_life* life) noexcept : life_(life) {}
  const node_life* life_ = nullptr;
};

inline constexpr std::string_view nonode = "nonode@nohost";

// A legal node name is part@host: 1..100 bytes of letters, digits, '_', '-', '.' on either side of one '@'.
[[nodiscard]] result<void> check_node_name(std::string_view name);
// "exercise" -> "exercise@localhost"; a name with '@' is only checked.
[[nodiscard]] result<std::string> complete_node_name(std::string_view name);

// The same on every node, and in print: <name@host#creation.id>, the creation in hex, the id in decimal. An empty pid
// names nobody, prints as <nobody#0.0> and sorts first.
class pid {
 public:
  constexpr pid() noexcept = default;
  constexpr pid(const node_life* life, std::uint64_t id) noexcept : life_(life ? life->key : 0), id_(id) {}

  [[nodiscard]] constexpr explicit operator bool() const noexcept { return life_ != 0; }
  [[nodiscard]] std::string_view node() const noexcept {
    const node_life* of = life();
    return of ? std::string_view(of->name) : nonode;
  }
  [[nodiscard]] std::uint64_t creation() const noexcept {
    const node_life* of = life();
    return of ? of->creation : 0;
  }
  [[nodiscard]] constexpr std::uint64_t id() const noexcept { return id_; }
  [[nodiscard]] const node_life* life() const noexcept { return life_ ? life_of(life_) : nullptr; }
  [[nodiscard]] constexpr std::uint64_t life_key() const noexcept { return life_; }  // 0: of no life
  [[nodiscard]] std::string text() const;
  [[nodiscard]] static result<pid> parse(std::string_view text);

  friend bool operator==(const pid& a, const pid& b) noexcept { return a.life_ == b.life_ && a.id_ == b.id_; }
  // By life (in the order in which this program met them), then id.
  friend std::strong_ordering operator<=>(const pid& a, const pid& b) noexcept;

 private:
  std::uint64_t life_ = 0;
  std::uint64_t id_ = 0;
};

// Unique in the life of a node, made in growing order by each of its workers. Prints as #ref<name@host#creation.id>.
class ref {
 public:
  constexpr ref() noexcept = default;
  constexpr ref(const node_life* life, std::uint64_t id) noexcept : life_(life ? life->key : 0), id_(id) {}

  [[nodiscard]] constexpr explicit operator bool() const noexcept { return id_ != 0; }
  [[nodiscard]] std::string_view node() const noexcept {
    const node_life* of = life();
    return of ? std::string_view(of->name) : nonode;
  }
  [[nodiscard]] std::uint64_t creation() const noexcept {
    const node_life* of = life();
    return of ? of->creation : 0;
  }
  [[nodiscard]] constexpr std::uint64_t id() const noexcept { return id_; }
  [[nodiscard]] const node_life* life() const noexcept { return life_ ? life_of(life_) : nullptr; }
  [[nodiscard]] constexpr std::uint64_t life_key() const noexcept { return life_; }  // 0: of no life
  [[nodiscard]] std::string text() const;
  [[nodiscard]] static result<ref> parse(std::string_view text);

  friend bool operator==(const ref& a, const ref& b) noexcept { return a.life_ == b.life_ && a.id_ == b.id_; }
  friend std::strong_ordering operator<=>(const ref& a, const ref& b) noexcept;

 private:
  std::uint64_t life_ = 0;
  std::uint64_t id_ = 0;
};

}  // namespace troupe

template <>
struct std::hash<troupe::pid> {
  std::size_t operator()(const troupe::pid& p) const noexcept {
    return std::hash<std::uint64_t>{}(p.id() * 0x9e3779b97f4a7c15ull ^ p.life_key());
  }
};
template <>
struct std::hash<troupe::ref> {
  std::size_t operator()(const troupe::ref& r) const noexcept {
    return std::hash<std::uint64_t>{}(r.id() * 0x9e3779b97f4a7c15ull ^ r.life_key());
  }
};
