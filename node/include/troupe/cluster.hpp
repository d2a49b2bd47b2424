#pragma once
// The other nodes: who is connected, connecting, and being told when one comes or goes.
//     auto joined = co_await troupe::connect(self, "node2@localhost").within(2s);    // result<void>
//     for (const std::string& name : troupe::nodes(self)) …
//     troupe::monitor_nodes(self, true);          // {"nodeup", name} and {"nodedown", name, {reason = …}}
// A send to a node that is not connected connects in the background; `connect` is for those who want to know.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <troupe/call.hpp>
#include <troupe/spawn.hpp>

namespace troupe {

class node;

// A mask: `visible | current` is what nodes([visible, this]) is in OTP.
enum class node_class : std::uint8_t {
  visible = 1,
  hidden = 2,     // hidden nodes and tools
  connected = 3,  // both
  current = 4,    // this node (OTP's word, `this`, is C++'s)
  known = 8,      // all of these, and those that are being dialled
};
[[nodiscard]] constexpr node_class operator|(node_class a, node_class b) noexcept {
  return static_cast<node_class>(static_cast<unsigned>(a) | static_cast<unsigned>(b));
}
[[nodiscard]] constexpr bool has(node_class mask, node_class bit) noexcept {
  return (static_cast<unsigned>(mask) & static_cast<unsigned>(bit)) != 0;
}

// "visible", "hidden", "connected", "this", "known".
[[nodiscard]] std::optional<node_class> parse_node_class(std::string_view word) noexcept;

// Sorted by name.
[[nodiscard]] std::vector<std::string> nodes(const node& where, node_class which = node_class::visible);
[[nodiscard]] std::vector<std::string> nodes(const process& self, node_class which = node_class::visible);

// Ends the connection as a planned leave: both sides see everything that was sent before, then DOWNs, then `nodedown`
// with reason "closed". False when there was none.
bool disconnect(node& where, std::string_view name);
bool disconnect(process& self, std::string_view name);

// Leaves the cluster: every connection but those of tools ends as a planned leave, nodes of the configuration are no
// longer tried, and what others tell of the mesh is not followed until this node connects by name again.
void leave(node& where);
void leave(process& self);

// From now on only nodes whose name fits a glob of `allow` (empty: any) and none of `deny` may be connected, in either
// direction: errc::not_allowed. Those that are connected and may not be are disconnected. Tools of this host may
// always.
void allow_nodes(node& where, std::vector<std::string> allow, std::vector<std::string> deny = {});

// Subscribes this process to nodes that come and go. `nodeup` comes after the node is in `nodes()` and before anything
// that it sends; `nodedown` after all that it sent, after every DOWN, and after it left `nodes()`. One message for each
// active subscription; `false` removes all with that mask.
void monitor_nodes(process& self, bool on, node_class which = node_class::visible);

// {"nodedown", name, {reason = …}} once, when that node is lost; also when it cannot be connected, which is tried. As
// many as there are active calls; `false` takes one back.
void monitor_node(process& self, std::string_view name, bool on = true);

namespace detail {

// What another node (or this one) is asked to do; answered like a call.
struct remote_request {
  enum class kind : std::uint8_t { connect, rpc, spawn };
  remote_request(kind asked, std::string at, std::string name, value given)
      : what(asked), node(std::move(at)), entry(std::move(name)), arguments(std::move(given)) {}

  kind what;
  bool link = false, monitor = false;
  std::string node;   // empty: this one
  std::string entry;  // of the catalogue
  value arguments;    // a list
  ref watch;          // the monitor, when asked for
};

// Errors arrive as replies: nothing here waits or throws.
void start_request(process& self, remote_request& what, wait_state& wait, duration limit);
void cast_request(process& self, remote_request& what);
// After a reply, a refusal or the deadline; takes `reply`.
[[nodiscard]] error request_failure(process& self, remote_request& what, envelope* reply, const wait_state& wait);
// What a spawn answers with; a process of this node is monitored by then.
[[nodiscard]] result<spawned> spawn_outcome(process& self, const remote_request& what, message& reply);

template <class Reply>
result<Reply> request_outcome(process& self, const remote_request& what, message& reply) {
  if constexpr (std::is_void_v<Reply>) {
    return {};
  } else if constexpr (std::same_as<Reply, spawned>) {
    return spawn_outcome(self, what, reply);
  } else if constexpr (std::same_as<Reply, pid>) {
    auto made = spawn_outcome(self, what, reply);
    if (!made) return made.error();
    return made->process;
  } else if constexpr (std::same_as<Reply, value>) {
    return result<value>(reply.to_value());
  } else {
    error why;
    Reply* content = reply.get<Reply>(&why);
    if (!content) return result<Reply>(std::move(why));
    return result<Reply>(std::move(*content));
  }
}

// A node's name and the line that gives it, for functions whose argument pack leaves no room for a default argument.
struct asked_node {
  template <class T>
    requires std::convertible_to<T&&, std::string>
  asked_node(T&& node, std::source_location place = std::source_location::current())
      : name(std::forward<T>(node)), where(place) {}
  std::string name;
  std::source_location where;
};
// The same with names of many.
struct asked_nodes {
  asked_nodes(std::vector<std::string> nodes, std::source_location place = std::source_location::current())
      : names(std::move(nodes)), where(place) {}
  asked_nodes(std::initializer_list<std::string> nodes, std::source_location place = std::source_location::current())
      : names(nodes), where(place) {}
  std::vector<std::string> names;
  std::source_location where;
};

}  // namespace detail

// Await it: result<Reply>. 5 s unless `.within` says otherwise; `.or_exit()` ends the process on failure.
template <class Reply>
class [[nodiscard]] request_awaiter : private detail::wait_state {
 public:
  request_awaiter(process& self, detail::remote_request what, std::source_location place)
      : self_(self), what_(std::move(what)) {
    where = place;
    takes_messages = false;
  }

  request_awaiter&& within(duration limit) && {
    limit_ = limit;
    return std::move(*this);
  }

  bool await_ready() {
    detail::start_request(self_, what_, *this, limit_);
    return false;  // even an answer of this very node comes as a signal, and finds us waiting
  }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> caller) {
    detail::begin_wait(self_, *this, caller);
    return true;
  }
  result<Reply> await_resume() {
    if (!found || found->kind != detail::signal::reply) {
      return detail::request_failure(self_, what_, std::exchange(found, nullptr), *this);
    }
    message taken(std::exchange(found, nullptr));
    return detail::request_outcome<Reply>(self_, what_, taken);
  }

  class exiting {
   public:
    explicit exiting(request_awaiter&& inner, std::source_location place) : inner_(std::move(inner)), place_(place) {}
    bool await_ready() { return inner_.await_ready(); }
    template <class Promise>
    bool await_suspend(std::coroutine_handle<Promise> caller) {
      return inner_.await_suspend(caller);
    }
    Reply await_resume() { return inner_.await_resume().or_exit(place_); }

   private:
    request_awaiter inner_;
    std::source_location place_;
  };
  exiting or_exit(std::source_location place = std::source_location::current()) && {
    return exiting(std::move(*this), place);
  }

 protected:
  detail::remote_request& request() noexcept { return what_; }
  process& owner() noexcept { return self_; }
  duration limit() const noexcept { return limit_; }
  std::source_location place() const noexcept { return where; }

 private:
  process& self_;
  detail::remote_request what_;
  duration limit_ = default_call_time;
};

// Connected now, already, or to itself: success. Errors: noconnection (nobody there; the text says what was tried),
// bad_cookie, name_taken, not_allowed, unsupported, timeout, bad_name. Of a node without network each other is
// noconnection.
[[nodiscard]] request_awaiter<void> connect(process& self, std::string name,
                                            std::source_location where = std::source_location::current());

}  // namespace troupe
