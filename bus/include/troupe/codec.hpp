#pragma once
// How C++ values become msgpack and back, without a third-party header: templates call the small virtual writer and
// reader of <troupe/wire.hpp>.
//
// A type takes part by a specialization of `codec<T>`, or as a struct with named fields (TROUPE_MESSAGE in
// <troupe/message.hpp>, TROUPE_FIELDS in <troupe/fields.hpp>). Integers and floats are never mixed, text and bytes
// neither; a list of the wrong length, an unknown type and trailing bytes are errors that name the path:
// "items[3].name: text expected, integer found".
#include <array>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include <troupe/fields.hpp>
#include <troupe/limits.hpp>
#include <troupe/value.hpp>
#include <troupe/wire.hpp>

namespace troupe {

template <class T>
struct codec;  // static void put(writer&, const T&); static bool take(reader&, T&);

template <class T>
concept encodable = requires(writer& w, reader& r, const T& in, T& out) {
  codec<T>::put(w, in);
  { codec<T>::take(r, out) } -> std::same_as<bool>;
};

// -- entry points ----------------------------------------------------------------------------------------------------

// A `wire_sink` or `wire_source` (<troupe/wire.hpp>) on the heap, for those who choose between wire and value at run
// time.
[[nodiscard]] std::unique_ptr<writer> wire_writer(wire_buffer& out);
[[nodiscard]] std::unique_ptr<reader> wire_reader(std::span<const std::byte> in, const limits& budget = {});
// How many bytes a wire reader has used up to now; 0 for any other reader.
[[nodiscard]] std::size_t wire_position(const reader& r) noexcept;
// `out` is complete when as many values have been put as the containers announced.
[[nodiscard]] std::unique_ptr<writer> value_writer(value& out);
[[nodiscard]] std::unique_ptr<reader> value_reader(const value& in);

template <encodable T>
void encode_wire(const T& in, wire_buffer& out) {
  wire_sink w(out);
  codec<T>::put(w, in);
}

template <encodable T>
[[nodiscard]] bytes to_wire(const T& in) {
  wire_buffer out;
  encode_wire(in, out);
  return std::move(out).take();
}

// The whole of `in`: trailing bytes are an error.
template <encodable T>
[[nodiscard]] result<T> from_wire(std::span<const std::byte> in, const limits& budget = {}) {
  wire_source r(in, budget);
  T out{};
  if (!codec<T>::take(r, out)) return std::unexpected(r.failure());
  if (!r.at_end()) return failure(errc::bad_message, "trailing bytes after the value");
  return result<T>(std::in_place, std::move(out));  // says which side, since T may be `error` itself
}

template <encodable T>
[[nodiscard]] value to_value(const T& in) {
  if constexpr (std::is_same_v<T, value>) {
    return in;
  } else {
    value out;
    auto w = value_writer(out);
    codec<T>::put(*w, in);
    return out;
  }
}

template <encodable T>
[[nodiscard]] result<T> from_value(const value& in) {
  auto r = value_reader(in);
  T out{};
  if (!codec<T>::take(*r, out)) return std::unexpected(r->failure());
  return result<T>(std::in_place, std::move(out));
}

// -- the types of C++ ------------------------------------------------------------------------------------------------

template <>
struct codec<bool> {
  static void put(writer& w, bool in) { w.put_bool(in); }
  static bool take(reader& r, bool& out) { return r.read_bool(out); }
};

template <class I>
  requires(std::is_integral_v<I> && !std::is_same_v<I, bool> && !std::is_same_v<I, char>)
struct codec<I> {
  static void put(writer& w, I in) {
    if constexpr (std::is_signed_v<I>) w.put_int(in);
    else w.put_uint(in);
  }
  static bool take(reader& r, I& out) {
    std::conditional_t<std::is_signed_v<I>, std::int64_t, std::uint64_t> wide{};
    if constexpr (std::is_signed_v<I>) {
      if (!r.read_int(wide)) return false;
    } else {
      if (!r.read_uint(wide)) return false;
    }
    if (!std::in_range<I>(wide)) return r.fail("integer out of range");
    out = static_cast<I>(wide);
    return true;
  }
};

template <class F>
  requires std::is_floating_point_v<F>
struct codec<F> {
  static void put(writer& w, F in) { w.put_real(in); }
  // An integer is taken where a float is wanted if it is exact: people type 5, not 5.0.
  static bool take(reader& r, F& out) {
    if (r.peek() == value::kind::integer) {
      std::int64_t number = 0;
      if (!r.read_int(number)) return false;
      out = static_cast<F>(number);
      if (number > (std::int64_t{1} << 53) || number < -(std::int64_t{1} << 53))
        return r.fail("integer too large for a float");
      return true;
    }
    double number = 0;
    if (!r.read_real(number)) return false;
    out = static_cast<F>(number);
    return true;
  }
};

template <class E>
  requires std::is_enum_v<E>
struct codec<E> {
  static void put(writer& w, E in) {
    codec<std::underlying_type_t<E>>::put(w, static_cast<std::underlying_type_t<E>>(in));
  }
  static bool take(reader& r, E& out) {
    std::underlying_type_t<E> number{};
    if (!codec<std::underlying_type_t<E>>::take(r, number)) return false;
    out = static_cast<E>(number);
    return true;
  }
};

template <>
struct codec<std::string> {
  static void put(writer& w, const std::string& in) { w.put_text(in); }
  static bool take(reader& r, std::string& out) {
    std::string_view text;
    if (!r.read_text(text)) return false;
    out.assign(text);
    return true;
  }
};

template <>
struct codec<bytes> {
  static void put(writer& w, const bytes& in) { w.put_bytes(in); }
  static bool take(reader& r, bytes& out) {
    std::span<const std::byte> data;
    if (!r.read_bytes(data)) return false;
    out.assign(data.begin(), data.end());
    return true;
  }
};

template <>
struct codec<value> {
  static void put(writer& w, const value& in) { w.put_value(in); }
  static bool take(reader& r, value& out) { return r.read_value(out); }
};

// The dynamic map: without this it would be a list of pairs.
template <>
struct codec<map> {
  static void put(writer& w, const map& in);
  static bool take(reader& r, map& out);
};

template <>
struct codec<pid> {
  static void put(writer& w, pid in) { w.put_pid(in); }
  static bool take(reader& r, pid& out) { return r.read_pid(out); }
};

template <>
struct codec<ref> {
  static void put(writer& w, ref in) { w.put_ref(in); }
  static bool take(reader& r, ref& out) { return r.read_ref(out); }
};

template <>
struct codec<std::monostate> {
  static void put(writer& w, std::monostate) { w.put_nil(); }
  static bool take(reader& r, std::monostate&) { return r.read_nil(); }
};

// A duration travels as nanoseconds.
template <class Rep, class Period>
struct codec<std::chrono::duration<Rep, Period>> {
  using type = std::chrono::duration<Rep, Period>;
  static void put(writer& w, type in) { w.put_int(std::chrono::duration_cast<std::chrono::nanoseconds>(in).count()); }
  static bool take(reader& r, type& out) {
    std::int64_t ns = 0;
    if (!r.read_int(ns)) return false;
    out = std::chrono::duration_cast<type>(std::chrono::nanoseconds(ns));
    return true;
  }
};

template <class T>
struct codec<std::optional<T>> {
  static void put(writer& w, const std::optional<T>& in) {
    if (in) codec<T>::put(w, *in);
    else w.put_nil();
  }
  static bool take(reader& r, std::optional<T>& out) {
    if (r.peek() == value::kind::nil && r.ok()) {
      out.reset();
      return r.read_nil();
    }
    return codec<T>::take(r, out.emplace());
  }
};

template <class T>
struct codec<std::vector<T>> {
  static void put(writer& w, const std::vector<T>& in) {
    w.begin_list(in.size());
    for (const auto& item : in) codec<T>::put(w, item);
  }
  static bool take(reader& r, std::vector<T>& out) {
    std::size_t count = 0;
    if (!r.begin_list(count)) return false;
    out.clear();
    for (std::size_t i = 0; i < count; ++i) {
      r.enter(i);
      T item{};
      if (!codec<T>::take(r, item)) return false;
      out.push_back(std::move(item));
      r.leave();
    }
    return true;
  }
};

namespace detail {

template <class Map>
struct map_codec {
  using key = typename Map::key_type;
  using mapped = typename Map::mapped_type;
  static void put(writer& w, const Map& in) {
    w.begin_map(in.size());
    for (const auto& [k, v] : in) {
      codec<key>::put(w, k);
      codec<mapped>::put(w, v);
    }
  }
  static bool take(reader& r, Map& out) {
    std::size_t count = 0;
    if (!r.begin_map(count)) return false;
    out.clear();
    for (std::size_t i = 0; i < count; ++i) {
      key k{};
      mapped v{};
      r.enter(i);
      if (!codec<key>::take(r, k) || !codec<mapped>::take(r, v)) return false;
      if (!out.emplace(std::move(k), std::move(v)).second) return r.fail("key given twice");
      r.leave();
    }
    return true;
  }
};

template <class Tuple, std::size_t... I>
void put_tuple(writer& w, const Tuple& in, std::index_sequence<I...>) {
  w.begin_list(sizeof...(I));
  (codec<std::tuple_element_t<I, Tuple>>::put(w, std::get<I>(in)), ...);
}

template <std::size_t I, class Tuple>
bool take_element(reader& r, Tuple& out) {
  r.enter(I);
  if (!codec<std::tuple_element_t<I, Tuple>>::take(r, std::get<I>(out))) return false;
  r.leave();
  return true;
}

template <class Tuple, std::size_t... I>
bool take_tuple(reader& r, Tuple& out, std::index_sequence<I...>) {
  std::size_t count = 0;
  if (!r.begin_list(count)) return false;
  if (count != sizeof...(I))
    return r.fail("list of " + std::to_string(sizeof...(I)) + " expected, " + std::to_string(count) + " found");
  return (take_element<I>(r, out) && ...);
}

}  // namespace detail

template <class K, class V>
struct codec<std::map<K, V>> : detail::map_codec<std::map<K, V>> {};
template <class K, class V>
struct codec<std::unordered_map<K, V>> : detail::map_codec<std::unordered_map<K, V>> {};

template <class... T>
struct codec<std::tuple<T...>> {
  static void put(writer& w, const std::tuple<T...>& in) { detail::put_tuple(w, in, std::index_sequence_for<T...>{}); }
  static bool take(reader& r, std::tuple<T...>& out) {
    return detail::take_tuple(r, out, std::index_sequence_for<T...>{});
  }
};

template <class A, class B>
struct codec<std::pair<A, B>> {
  static void put(writer& w, const std::pair<A, B>& in) { detail::put_tuple(w, in, std::index_sequence<0, 1>{}); }
  static bool take(reader& r, std::pair<A, B>& out) { return detail::take_tuple(r, out, std::index_sequence<0, 1>{}); }
};

template <class T, std::size_t N>
struct codec<std::array<T, N>> {
  static void put(writer& w, const std::array<T, N>& in) { detail::put_tuple(w, in, std::make_index_sequence<N>{}); }
  static bool take(reader& r, std::array<T, N>& out) {
    return detail::take_tuple(r, out, std::make_index_sequence<N>{});
  }
};

template <>
struct codec<error> {
  static void put(writer& w, const error& in);  // {"code": 1, "name": "timeout", "text": "…", "maybe_executed": false}
  static bool take(reader& r, error& out);
};

// -- structs with named fields ---------------------------------------------------------------------------------------
// {"name": "x", "amount": 5}. Unknown fields are skipped and missing ones keep the value that a default-made struct
// has: so fields may be added later, on either side first.

template <class T>
concept has_fields = requires { T::troupe_field_count(); };

template <has_fields T>
struct codec<T> {
  static void put(writer& w, const T& in) {
    w.begin_map(T::troupe_field_count());
    T::troupe_each(in, [&w](std::string_view name, const auto& field) {
      w.put_text(name);
      codec<std::remove_cvref_t<decltype(field)>>::put(w, field);
      return true;
    });
  }

  static bool take(reader& r, T& out) {
    std::size_t count = 0;
    if (!r.begin_map(count)) return false;
    std::size_t expected = 0;  // fields come in declared order nearly always: compared in place, no search
    for (std::size_t i = 0; i < count; ++i) {
      std::string_view key;
      if (!r.read_text(key)) return false;
      r.enter(key);
      int outcome = take_field(r, out, key, expected);
      if (outcome < 0) outcome = take_field(r, out, key, 0);
      if (outcome == 0) return false;
      if (outcome < 0 && !r.skip()) return false;
      r.leave();
    }
    return true;
  }

 private:
  // 1 taken, 0 failed, -1 no such field at or after `from`; moves `from` behind the field taken.
  static int take_field(reader& r, T& out, std::string_view key, std::size_t& from) {
    std::size_t index = 0;
    int outcome = -1;
    T::troupe_each(out, [&](std::string_view name, auto& field) {
      if (index++ < from || name != key) return true;
      outcome = codec<std::remove_cvref_t<decltype(field)>>::take(r, field) ? 1 : 0;
      from = index;
      return false;
    });
    return outcome;
  }
  static int take_field(reader& r, T& out, std::string_view key, std::size_t&& from) {
    return take_field(r, out, key, from);
  }
};

}  // namespace troupe
