#pragma once
// What a value holds on the heap besides itself, in bytes: how a waiting message is weighed (`memory`,
// `mailbox_bytes`). Exact, with malloc's own bytes, for the first `most_looked_at` parts; what comes behind them is
// taken to be as large as they are, so that a message of a million parts costs no more to send than one of a few
// hundred.
// What cannot be looked into (a pointer, a class without fields) counts as nothing besides itself.
#include <algorithm>
#include <concepts>
#include <cstddef>
#include <memory>
#include <optional>
#include <ranges>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <troupe/codec.hpp>

namespace troupe::detail {

class heap_meter {
 public:
  static constexpr std::size_t most_looked_at = 256;

  template <class T>
  [[nodiscard]] std::size_t bytes_of(const T& of) noexcept {
    if constexpr (std::is_trivially_destructible_v<T>) {
      return 0;
    } else if constexpr (std::same_as<T, value>) {
      return of_value(of);
    } else if constexpr (std::same_as<T, std::string>) {
      return of.capacity() <= std::string().capacity() ? 0 : block(of.capacity() + 1);
    } else if constexpr (has_fields<T>) {
      std::size_t sum = 0;
      T::troupe_each(of, [&](std::string_view, const auto& field) {
        sum += bytes_of(field);
        return true;
      });
      return sum;
    } else if constexpr (requires { of.troupe_heap(*this); }) {
      return of.troupe_heap(*this);
    } else if constexpr (requires { of.has_value(), *of; }) {
      return of ? bytes_of(*of) : 0;
    } else if constexpr (requires { std::tuple_size<T>::value; }) {
      if constexpr (std::ranges::sized_range<const T>) return of_parts(of);
      else return std::apply([this](const auto&... part) { return (std::size_t{0} + ... + bytes_of(part)); }, of);
    } else if constexpr (requires { of.capacity(), of.data(); }) {
      return of.capacity() == 0 ? 0 : block(of.capacity() * sizeof(*of.data())) + of_parts(of);
    } else if constexpr (std::ranges::sized_range<const T>) {  // a node for each: a map, a set
      return of.size() * block(sizeof(*of.begin()) + node_links) + of_parts(of);
    } else if constexpr (requires { of.valueless_by_exception(); }) {
      return std::visit([this](const auto& part) { return bytes_of(part); }, of);
    } else {
      return 0;
    }
  }

 private:
  static constexpr std::size_t node_links = 32;  // of a tree's node

  // What malloc takes for it.
  [[nodiscard]] static constexpr std::size_t block(std::size_t bytes) noexcept {
    return std::max<std::size_t>(32, (bytes + sizeof(std::size_t) + 15) / 16 * 16);
  }
  [[nodiscard]] std::size_t of_value(const value& of) noexcept;

  template <class Range>
  [[nodiscard]] std::size_t of_parts(const Range& of) noexcept {
    if constexpr (std::is_trivially_destructible_v<std::ranges::range_value_t<Range>>) {
      return 0;
    } else {
      std::size_t sum = 0, seen = 0;
      for (const auto& part : of) {
        if (left_ == 0) return seen == 0 ? 0 : sum / seen * of.size();
        --left_;
        sum += bytes_of(part);
        ++seen;
      }
      return sum;
    }
  }

  std::size_t left_ = most_looked_at;
};

template <class T>
[[nodiscard]] std::size_t heap_bytes(const T& of) noexcept {
  return heap_meter().bytes_of(of);
}

}  // namespace troupe::detail
