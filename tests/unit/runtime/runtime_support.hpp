#pragma once
// A bare node and the messages that the runtime's tests send.
#include <gtest/gtest.h>

#include <string>

#include "runtime/core.hpp"

namespace troupe::test {

struct Ping {
  pid from;
  std::int64_t number = 0;
  TROUPE_MESSAGE(Ping, "ping", from, number)
};
struct Pong {
  std::int64_t number = 0;
  TROUPE_MESSAGE(Pong, "pong", number)
};
struct Put {
  std::string key, text;
  TROUPE_MESSAGE(Put, "put", key, text)
};
struct Stop {
  TROUPE_MESSAGE(Stop, "stop")
};

inline constexpr duration patience = std::chrono::seconds(20);

class RuntimeTest : public testing::Test {
 protected:
  std::unique_ptr<node> n = detail::make_bare_node({.name = "test@localhost", .workers = 2});
  std::unique_ptr<handle> h = n->make_handle().or_exit();

  // Runs a process body to its end and returns what it returns.
  template <class F>
  auto run(F body) {
    return h->run(patience, std::move(body));
  }
};

}  // namespace troupe::test
