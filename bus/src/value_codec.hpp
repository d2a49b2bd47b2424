#pragma once
// Trees of values through any reader or writer. Templates, so that the final classes are called without a table.
#include <algorithm>

#include <troupe/wire.hpp>

namespace troupe::internal {

template <class Writer>
void put_tree(Writer& w, const value& v) {
  switch (v.type()) {
    case value::kind::nil: return w.put_nil();
    case value::kind::boolean: return w.put_bool(*v.boolean());
    case value::kind::integer: return w.put_int(*v.integer());
    case value::kind::unsigned_integer: return w.put_uint(*v.unsigned_integer());
    case value::kind::real: return w.put_real(*v.real());
    case value::kind::text: return w.put_text(*v.text());
    case value::kind::bytes: return w.put_bytes(*v.binary());
    case value::kind::list:
      w.begin_list(v.items()->size());
      for (const value& item : *v.items()) put_tree(w, item);
      return;
    case value::kind::map:
      w.begin_map(v.entries()->size());
      for (const auto& [key, item] : *v.entries()) {
        put_tree(w, key);
        put_tree(w, item);
      }
      return;
    case value::kind::pid: return w.put_pid(*v.process());
    case value::kind::ref: return w.put_ref(*v.reference());
    case value::kind::ext: return w.put_ext(v.ext()->type, v.ext()->data);
  }
}

// What a header announces is not there yet: no more than this is reserved on its word.
inline constexpr std::size_t reserve_limit = 256;

template <class Reader>
bool take_tree(Reader& r, value& out);

template <class Reader>
bool take_list(Reader& r, value& out) {
  std::size_t count = 0;
  if (!r.begin_list(count)) return false;
  list items;
  items.reserve(std::min(count, reserve_limit));
  for (std::size_t i = 0; i < count; ++i) {
    r.enter(i);
    if (!take_tree(r, items.emplace_back())) return false;
    r.leave();
  }
  out = std::move(items);
  return true;
}

template <class Reader>
bool take_map(Reader& r, value& out) {
  std::size_t count = 0;
  if (!r.begin_map(count)) return false;
  map entries;
  entries.reserve(std::min(count, reserve_limit));
  for (std::size_t i = 0; i < count; ++i) {
    auto& [key, item] = entries.emplace_back();
    if (r.peek() == value::kind::text) {
      std::string_view name;
      if (!r.read_text(name)) return false;
      key = name;
      r.enter(name);
    } else {
      r.enter(i);
      if (!take_tree(r, key)) return false;
    }
    if (!take_tree(r, item)) return false;
    r.leave();
  }
  out = std::move(entries);
  return true;
}

template <class T, class Reader>
bool take_as(Reader& r, value& out, bool (Reader::*read)(T&)) {
  T content{};
  if (!(r.*read)(content)) return false;
  out = value(content);
  return true;
}

template <class Reader>
bool take_tree(Reader& r, value& out) {
  switch (r.peek()) {
    case value::kind::nil: out = value(); return r.read_nil();
    case value::kind::boolean: return take_as<bool>(r, out, &Reader::read_bool);
    case value::kind::integer: return take_as<std::int64_t>(r, out, &Reader::read_int);
    case value::kind::unsigned_integer: return take_as<std::uint64_t>(r, out, &Reader::read_uint);
    case value::kind::real: return take_as<double>(r, out, &Reader::read_real);
    case value::kind::text: return take_as<std::string_view>(r, out, &Reader::read_text);
    case value::kind::bytes: {
      std::span<const std::byte> data;
      if (!r.read_bytes(data)) return false;
      out = bytes(data.begin(), data.end());
      return true;
    }
    case value::kind::list: return take_list(r, out);
    case value::kind::map: return take_map(r, out);
    case value::kind::pid: return take_as<pid>(r, out, &Reader::read_pid);
    case value::kind::ref: return take_as<ref>(r, out, &Reader::read_ref);
    case value::kind::ext: {
      extension e;
      std::span<const std::byte> data;
      if (!r.read_ext(e.type, data)) return false;
      e.data.assign(data.begin(), data.end());
      out = std::move(e);
      return true;
    }
  }
  return r.fail("a value expected");
}

}  // namespace troupe::internal
