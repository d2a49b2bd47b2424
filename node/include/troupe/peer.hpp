#pragma once
// Real nodes for a test: programs of their own, which no other test sees and which end with it.
//     troupe::testing::cluster nodes;
//     auto bob = nodes.start("bob", "build/bin/chat").or_exit();      // ready when this returns
//     auto me = nodes.join("tester").or_exit();                       // this program, as a node among them
//     … bob->name(), bob->wait_output("hey"), bob->kill() …
//
// Owner: the test; any thread, one at a time. They find each other in a run directory of the cluster's own, under a
// cookie of its own; their names get a random part ("bob-3f9a@localhost"), so tests run side by side. A node that is
// started listens on nothing but its socket there unless its arguments say otherwise. When this program dies, however
// it does, they are killed.
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <troupe/node.hpp>

namespace troupe::testing {

// One that was started.
class peer {
 public:
  virtual ~peer() = default;
  [[nodiscard]] virtual const std::string& name() const noexcept = 0;  // "bob-3f9a@localhost"
  [[nodiscard]] virtual int os_pid() const noexcept = 0;
  [[nodiscard]] virtual std::string output() const = 0;  // all that it has written so far
  // Has it written that, or does it within that time?
  [[nodiscard]] virtual bool wait_output(std::string_view text, duration within = std::chrono::seconds(30)) const = 0;
  [[nodiscard]] virtual bool running() = 0;
  // SIGKILL; it is gone when this returns.
  virtual void kill() = 0;
  // SIGTERM, and SIGKILL when it is late. Its exit code; errc::timeout: it was late; exited: a signal ended it.
  virtual result<int> stop(duration within = std::chrono::seconds(30)) = 0;
};

class cluster {
 public:
  // Throws std::runtime_error when there is no room for its folder.
  cluster();
  ~cluster();  // kills whoever still runs, then removes the folder
  cluster(const cluster&) = delete;
  cluster& operator=(const cluster&) = delete;

  // `program` calls troupe::run; `arguments` come behind its name. errc: exited (it ended, or said that it failed: the
  // text has its last lines), timeout (not ready within the time), io.
  [[nodiscard]] result<std::shared_ptr<peer>> start(std::string_view name, const std::string& program,
                                                    std::vector<std::string> arguments = {},
                                                    duration ready_within = std::chrono::seconds(30));
  // This program as one of them. Its name too gets a random part.
  [[nodiscard]] result<std::unique_ptr<node>> join(std::string_view name, node_options options = {});

  [[nodiscard]] const std::string& run_directory() const noexcept;
  [[nodiscard]] const std::string& cookie() const noexcept;

 private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

}  // namespace troupe::testing
