#pragma once
// Host names become addresses on threads that have nothing else to do: neither the loop nor libzmq asks a name server.
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <troupe/bus/loop.hpp>

#include "sockets.hpp"

namespace troupe::bus::internal {

// Design notes.
// getaddrinfo cannot be told to stop, and a name server that does not answer holds it for half a minute. So a thread
// that hangs in it is left to itself: it shares a small state with the resolver, and finds out there, under a lock,
// that nobody wants its answer any more. At most `most_threads` hang at a time; those who ask for the same name share
// one question, and what waits for a thread is bounded and goes when nobody wants it any more.
// Owner: a transport, all else on the loop's thread; when it goes, so do the questions, and no answer comes.
class resolver {
 public:
  using answer = std::move_only_function<void(result<std::vector<socket_address>>)>;
  using ticket = std::uint64_t;
  using lookup = std::function<result<std::vector<socket_address>>(const endpoint&)>;
  static constexpr unsigned most_threads = 16;
  static constexpr std::size_t most_waiting = 1024;

  explicit resolver(loop& on);
  ~resolver();
  resolver(const resolver&) = delete;
  resolver& operator=(const resolver&) = delete;

  // `then` comes in a later turn; errc::noconnection, system_limit, overloaded.
  [[nodiscard]] ticket ask(const endpoint& where, answer then);
  void cancel(ticket one);

  // At once, for a thread that may wait.
  [[nodiscard]] static result<std::vector<socket_address>> wait_for(const endpoint& where);
  // What resolvers made from now on ask, addresses_of when empty. For tests.
  static void instead(lookup other);

 private:
  struct shared;
  struct question {
    std::map<ticket, answer> wanted_by;
  };

  void answered(const std::string& key, const result<std::vector<socket_address>>& found);
  [[nodiscard]] result<void> begin(const std::string& key, const endpoint& where);
  static void body(const std::shared_ptr<shared>& with);

  loop& loop_;
  std::shared_ptr<shared> shared_;
  std::map<std::string, question> questions_;  // by endpoint
  std::map<ticket, std::string> keys_;
  ticket last_ = 0;
};

}  // namespace troupe::bus::internal
