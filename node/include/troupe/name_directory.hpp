#pragma once
// Names that belong to the whole cluster, as an address: `call(self, global::name("ledger"), Read())`. What keeps them
// is <troupe/global.hpp>; the runtime knows only that somebody may.
#include <string>
#include <string_view>

#include <troupe/time.hpp>
#include <troupe/value.hpp>

namespace troupe {

namespace global {

// Any value but nil: "ledger", list_of({"todo_list", "bob"}). As an address it is whoever holds the name when the
// signal is sent, by this node's replica: no network is asked. `resolver` is for who registers: see register_name.
class name {
 public:
  explicit name(value of, std::string resolver = {});
  explicit name(const char* of) : name(value(of)) {}

  [[nodiscard]] const value& content() const noexcept { return content_; }
  [[nodiscard]] const std::string& resolver() const noexcept { return resolver_; }
  [[nodiscard]] std::string key() const;

 private:
  value content_;
  std::string resolver_;
};

}  // namespace global

namespace detail {

inline constexpr const char* any_node = "*";

// Names of the cluster and their holders. A service of a layer above is one; without it no such name is known.
class name_directory {
 public:
  virtual ~name_directory() = default;
  // Any thread; never waits. `key` as global::name gives it.
  [[nodiscard]] virtual result<pid> whereis(std::string_view key) = 0;
};
[[nodiscard]] value name_in_key(std::string_view key);

// The process of each node that gives global names, and the call that asks it for one; its answer is the pid that has
// the name then. For layers below the directory's.
inline constexpr const char* name_keeper = "troupe.global";
[[nodiscard]] value name_request(const global::name& wanted, pid holder, duration within);

}  // namespace detail
}  // namespace troupe
