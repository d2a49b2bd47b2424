#pragma once
// Functions and processes of other nodes' catalogues.
//     auto small = co_await troupe::rpc::call<Image>(self, "images@hostb", "image.resize", picture, 320).within(2s);
//     auto worker = co_await troupe::spawn_on(self, "images@hostb", "image.worker", queue_name).linked();
// Each call runs in a process of its own, whose group leader is the caller's: what it prints comes back. This node's
// own name works too, without network. Errors: undef (no such function there), bad_argument (names the argument),
// exception (type and text), exited (the text is the reason), noconnection, timeout, overloaded, too_large, whatever
// the function returned; `maybe_executed()` tells whether it may have run.
#include <troupe/cluster.hpp>
#include <troupe/spawn.hpp>

namespace troupe {

namespace detail {

template <class T>
[[nodiscard]] value argument_value(const T& given) {
  if constexpr (std::is_convertible_v<const T&, std::string_view>) return value(std::string_view(given));
  else return to_value(given);
}

template <class... Args>
[[nodiscard]] value argument_list(const Args&... args) {
  list items;
  items.reserve(sizeof...(args));
  (items.push_back(argument_value(args)), ...);
  return value(std::move(items));
}

template <class T>
concept rpc_argument = await_safe<T> && (std::is_convertible_v<const std::remove_cvref_t<T>&, std::string_view> ||
                                         encodable<std::remove_cvref_t<T>>);

}  // namespace detail

namespace rpc {

template <class R = value, detail::rpc_argument... Args>
[[nodiscard]] request_awaiter<R> call(process& self, std::string node, std::string function, Args&&... args) {
  return request_awaiter<R>(self,
                            detail::remote_request(detail::remote_request::kind::rpc, std::move(node),
                                                   std::move(function), detail::argument_list(args...)),
                            std::source_location::current());
}

// `arguments` is a list. For tools and scripts.
[[nodiscard]] request_awaiter<value> call_values(process& self, std::string node, std::string function, value arguments,
                                                 std::source_location where = std::source_location::current());

// No answer, no error; what cannot be run is logged there.
template <detail::rpc_argument... Args>
void cast(process& self, std::string node, std::string function, Args&&... args) {
  detail::remote_request what(detail::remote_request::kind::rpc, std::move(node), std::move(function),
                              detail::argument_list(args...));
  detail::cast_request(self, what);
}

}  // namespace rpc

// result<pid>; with `.monitored()` result<spawned>. Link and monitor are there before the process runs, so its reason
// is never missed. The group leader is inherited.
class [[nodiscard]] spawn_awaiter : public request_awaiter<pid> {
 public:
  using request_awaiter<pid>::request_awaiter;

  spawn_awaiter&& within(duration time) && {
    static_cast<void>(static_cast<request_awaiter<pid>&&>(*this).within(time));
    return std::move(*this);
  }
  spawn_awaiter&& linked() && {
    request().link = true;
    return std::move(*this);
  }
  [[nodiscard]] request_awaiter<spawned> monitored() && {
    request().monitor = true;
    return request_awaiter<spawned>(owner(), std::move(request()), place()).within(limit());
  }
};

template <detail::rpc_argument... Args>
[[nodiscard]] spawn_awaiter spawn_on(process& self, std::string node, std::string entry, Args&&... args) {
  return spawn_awaiter(self,
                       detail::remote_request(detail::remote_request::kind::spawn, std::move(node), std::move(entry),
                                              detail::argument_list(args...)),
                       std::source_location::current());
}
[[nodiscard]] spawn_awaiter spawn_values_on(process& self, std::string node, std::string entry, value arguments,
                                            std::source_location where = std::source_location::current());

}  // namespace troupe
