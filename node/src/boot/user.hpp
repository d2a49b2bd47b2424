#pragma once
// The process named `user`: the group leader of whatever has no other. OTP's word.
#include <functional>
#include <memory>
#include <mutex>
#include <string_view>

#include <troupe/node.hpp>

#include "runtime/core.hpp"

namespace troupe::internal {

// Where `user` puts what is printed. A node made by hand touches no stdio, so the log gets it line by line; run() and
// the tools say otherwise. Owner: the core. Thread-safe.
class user_output final : public detail::service {
 public:
  // `write` is called on a worker and must not wait.
  void to(std::function<void(std::string_view)> write);
  void put(process& self, std::string_view text);

 private:
  std::mutex mutex_;
  std::shared_ptr<std::function<void(std::string_view)>> write_;
};

// Attaches the output, starts the process, makes it the default group leader.
[[nodiscard]] result<void> start_user(node& n);

}  // namespace troupe::internal
