#pragma once
// Names that belong to the whole cluster (OTP's global): one holder, found from every node.
//     auto mine = co_await troupe::global::register_name(self, "ledger", self.id());
//     if (!mine) … mine.holder() has it, on whatever node
//     auto total = co_await troupe::call(self, troupe::global::name("ledger"), Read());
// A name is free again when its holder ends, when its node is lost (before `nodedown` and DOWN tell of it), and when it
// is unregistered. A process may have several. What a partition can and cannot break: node/GLOBAL.md.
#include <string>
#include <utility>
#include <vector>

#include <troupe/call.hpp>

namespace troupe {

class node;

namespace global {

// Sent to a holder that has lost its name because the other side of a partition had given it too. It is not ended.
struct global_name_conflict {
  value name;
  pid winner;  // empty: nobody has it now
  TROUPE_MESSAGE(global_name_conflict, "global_name_conflict", name, winner)
};

// How one of two holders is chosen when two sides meet: `oldest`, `newest`, `lowest_node`, `notify_all` (nobody stays),
// or a function of the catalogue, called once with (name, older pid, newer pid), which answers one of them or nil. When
// it fails or takes longer than 3 s nobody stays. Whoever does not stay is told (global_name_conflict).
[[nodiscard]] bool is_resolver(std::string_view word) noexcept;

class register_options {
 public:
  register_options() = default;
  register_options& resolver(std::string word) & {
    resolver_ = std::move(word);
    return *this;
  }
  register_options&& resolver(std::string word) && {
    resolver_ = std::move(word);
    return std::move(*this);
  }
  register_options& within(duration limit) & {
    within_ = limit;
    return *this;
  }
  register_options&& within(duration limit) && {
    within_ = limit;
    return std::move(*this);
  }
  [[nodiscard]] const std::string& resolver() const noexcept { return resolver_; }
  [[nodiscard]] duration within() const noexcept { return within_; }

 private:
  std::string resolver_ = "oldest";
  duration within_ = default_call_time;
};

// What became of a registration.
class registration {
 public:
  registration(pid holder, bool given) : holder_(holder), given_(given) {}
  registration(troupe::error why) : failure_(std::move(why)) {}
  registration(pid holder, troupe::error why) : holder_(holder), failure_(std::move(why)) {}

  [[nodiscard]] explicit operator bool() const noexcept { return given_; }
  // Who has the name now; empty when nobody could be asked.
  [[nodiscard]] pid holder() const noexcept { return holder_; }
  [[nodiscard]] const troupe::error& error() const noexcept { return failure_; }
  // Ends the calling process when the name was not given.
  void or_exit(std::source_location where = std::source_location::current()) const {
    if (!given_) throw detail::exit_by_error{failure_, where};
  }

 private:
  pid holder_;
  troupe::error failure_;
  bool given_ = false;
};

// When it is done every node finds the name, by its replica or by asking the name's arbiter. errc: name_taken (holder()
// has it, and lived when its own node was asked), timeout (also while nodes do not agree on who is there), noproc,
// bad_name (nil), not_allowed ("troupe.…"), undef (no such resolver), noconnection (the process's node). A node that
// this waits for (the arbiter, the process's, one that was just given the name) and whose `troupe.global` does not run
// is given up after 5 s: timeout, also within `wait_forever`.
[[nodiscard]] task<registration> register_name(process& self, value name, pid who, register_options how = {});
// Takes the name from whoever has it; nobody else can get it in between.
[[nodiscard]] task<registration> re_register_name(process& self, value name, pid who, register_options how = {});
// False when nobody had it. 10 s at most.
[[nodiscard]] task<result<bool>> unregister_name(process& self, value name, duration within = default_call_time);

// From this node's replica; what that does not know is asked of the name's arbiter, for 10 s at most. errc: noproc,
// timeout, noconnection.
[[nodiscard]] task<result<pid>> whereis_name(process& self, value name, duration within = default_call_time);
// By the replica alone.
[[nodiscard]] result<pid> whereis_here(const node& where, const name& wanted);

// Sorted by key. By the replica.
[[nodiscard]] std::vector<std::pair<value, pid>> registered_names(const node& where);
[[nodiscard]] std::vector<std::pair<value, pid>> registered_names(const process& self);

// errc::noproc when nobody has the name, as this node knows it.
template <class T>
result<void> send(process& self, const name& to, T&& content) {
  return self.try_send(to, std::forward<T>(content));
}

// Until all nodes that see each other agree on that, and nothing is held twice. errc::timeout.
[[nodiscard]] task<result<void>> sync(process& self, duration within = default_call_time);

// The nodes that share names and locks with this one now, itself among them.
[[nodiscard]] std::vector<std::string> members(const node& where);
// {members, confirmed, may_grant, agreed, partition, names, locks}, and what the service is busy with: {asking, queued,
// granting, settling}.
[[nodiscard]] value info(const node& where);

}  // namespace global
}  // namespace troupe
