#include "boot/console.hpp"

#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <utility>

#include <troupe/utf8.hpp>

#include "thread.hpp"

namespace troupe::internal {

console::console(int fd, std::size_t most_bytes) : most_bytes_(most_bytes), state_(std::make_shared<shared>()) {
  thread_ = start_thread("troupe-console", [state = state_, fd] { write_all(state, fd); });
}

console::~console() {
  std::unique_lock lock(state_->mutex);
  state_->stopping = true;
  state_->changed.notify_all();
  bool done = state_->changed.wait_for(lock, std::chrono::seconds(1), [&] { return state_->done; });
  lock.unlock();
  if (done) thread_.join();
  else thread_.detach();
}

void console::put(std::string_view text) {
  std::lock_guard guard(state_->mutex);
  if (state_->waiting.size() + text.size() > most_bytes_) {
    ++state_->dropped;
    return;
  }
  state_->waiting += text;
  state_->changed.notify_all();
}

void console::write_all(std::shared_ptr<shared> state, int fd) {
  const bool terminal = isatty(fd) != 0;
  std::unique_lock lock(state->mutex);
  for (;;) {
    state->changed.wait(lock, [&] { return state->stopping || !state->waiting.empty(); });
    if (state->waiting.empty()) break;
    std::string text = std::exchange(state->waiting, {});
    if (std::uint64_t lost = std::exchange(state->dropped, 0))
      text += "… " + std::to_string(lost) + " lines of output were dropped\n";
    lock.unlock();
    if (terminal) text = for_terminal(text);
    for (std::string_view left = text; !left.empty();) {
      ssize_t written = write(fd, left.data(), left.size());
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) break;  // nobody reads any more
      left.remove_prefix(static_cast<std::size_t>(written));
    }
    lock.lock();
  }
  state->done = true;
  state->changed.notify_all();
}

}  // namespace troupe::internal
