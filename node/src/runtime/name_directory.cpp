#include <troupe/name_directory.hpp>

#include <span>

#include <troupe/codec.hpp>

namespace troupe {

namespace global {

name::name(value of, std::string resolver) : content_(std::move(of)), resolver_(std::move(resolver)) {}

std::string name::key() const {
  const bytes packed = to_wire(content_);
  return "n" + std::string(reinterpret_cast<const char*>(packed.data()), packed.size());
}

}  // namespace global

namespace detail {

value name_in_key(std::string_view key) {
  if (key.empty()) return {};
  auto name = from_wire<value>(std::as_bytes(std::span(key.substr(1))));
  return name ? std::move(*name) : value();
}

value name_request(const global::name& wanted, pid holder, duration within) {
  const std::int64_t us =
      within == wait_forever ? -1 : std::chrono::duration_cast<std::chrono::microseconds>(within).count();
  return list_of(
      {"global.register",
       map_of({{"name", wanted.content()}, {"process", holder}, {"resolver", wanted.resolver()}, {"within_us", us}})});
}

}  // namespace detail
}  // namespace troupe
