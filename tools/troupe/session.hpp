#pragma once
// A tool's connection to one node: a node of its own that is hidden, has a random name, never listens, and is gone with
// this program however it ends.
#include <functional>
#include <memory>
#include <string>

#include <troupe/node.hpp>
#include <troupe/rpc.hpp>

#include "boot/signals.hpp"
#include "troupe/command.hpp"
#include "troupe/shell_log.hpp"

namespace troupe::tool {

class stop_handler;

// Owner: the command. Thread: main's. What remote functions print appears on standard output.
class session {
 public:
  // Connects to NODE of `given` within --timeout, or says why not: already printed, the exit code is in `status`.
  [[nodiscard]] static std::unique_ptr<session> open(std::string_view command, const parsed_options& given,
                                                     int& status);
  // The same without a target: a node to start things on. Under --name or --sname others can connect to it.
  [[nodiscard]] static std::unique_ptr<session> open_local(std::string_view command, const parsed_options& given,
                                                           int& status);
  ~session();

  // Calls a function of the target's catalogue; all that it printed is on standard output when this returns.
  [[nodiscard]] result<value> ask(const std::string& function, list arguments = {});
  // Runs a coroutine `task<T>(process&)`.
  template <class F>
  auto run(duration limit, F body) {
    return hand_->run(limit, std::move(body));
  }

  // What Ctrl-C does; without, it ends the program (exit code 130). On the signal thread.
  void on_interrupt(std::function<void()> handler);

  // Of a node of its own: where its log goes (else to standard error), and who ends this program when a tool asks the
  // node to stop (else it ends at once). On any thread.
  void on_log(std::function<void(std::string)> show);
  void on_stop(std::function<void(std::string)> stop);

  [[nodiscard]] const std::string& target() const noexcept { return target_; }
  [[nodiscard]] duration timeout() const noexcept { return timeout_; }
  [[nodiscard]] troupe::node& node() noexcept { return *node_; }
  [[nodiscard]] troupe::handle& hand() noexcept { return *hand_; }
  int fail(const error& why) const;  // complain() with this command's name
  // A timeout of ours in words for who waits: whose answer did not come, and how long it was waited for.
  [[nodiscard]] error patient(const error& why) const;

 private:
  session() = default;
  [[nodiscard]] result<void> start(node_options options, const parsed_options& given);

  std::string command_, target_;
  duration timeout_{};
  error no_cookie_;  // why there is none, which matters only where the target's key cannot be read
  std::shared_ptr<shell_log> log_;
  stop_handler* stopper_ = nullptr;  // its node's
  std::unique_ptr<internal::signal_watch> signals_;
  std::shared_ptr<std::function<void()>> interrupt_;
  std::shared_ptr<std::mutex> interrupt_mutex_;
  std::unique_ptr<troupe::node> node_;
  std::unique_ptr<troupe::handle> hand_;
};

// session::open, then one question, then JSON with --json or what `show` makes of it. For commands that are no more.
// `filter` changes the answer before either.
[[nodiscard]] int ask_and_show(std::string_view command, const parsed_options& given, const std::string& function,
                               list arguments, const std::function<std::string(const value&)>& show,
                               const std::function<void(value&)>& filter = {});

}  // namespace troupe::tool
