#pragma once
// Standard output for whatever processes print: a bounded queue and a thread, so that a reader who is slow or stuck
// never holds a worker. Beyond the bound the newest is dropped and counted; the count is told when writing goes on.
// Processes of any node may print here, so a terminal gets it as for_terminal shows it.
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include <troupe/time.hpp>

namespace troupe::internal {

// Thread-safe. Owner: run(). The thread is left to a write that never returns.
class console {
 public:
  explicit console(int fd, std::size_t most_bytes = 4u << 20);
  ~console();  // writes what waits, at most 1 s long
  console(const console&) = delete;
  console& operator=(const console&) = delete;

  void put(std::string_view text);

 private:
  struct shared {
    std::mutex mutex;
    std::condition_variable changed;
    std::string waiting;
    std::uint64_t dropped = 0;
    bool stopping = false, done = false;
  };
  static void write_all(std::shared_ptr<shared> state, int fd);

  const std::size_t most_bytes_;
  std::shared_ptr<shared> state_;
  std::thread thread_;
};

}  // namespace troupe::internal
