#pragma once
// How each of our threads is started.
#include <functional>
#include <string>
#include <thread>

namespace troupe::internal {

// A thread with a name for ps and gdb (15 bytes are seen) and with all signals blocked: signals are the program's.
// Throws std::system_error when the host has no more threads; the caller's mask of signals is then as it was.
[[nodiscard]] std::thread start_thread(const std::string& name, std::move_only_function<void()> body);

}  // namespace troupe::internal
