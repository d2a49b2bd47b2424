#pragma once
// Where log lines end: a terminal or a rotating file. For the terminal spdlog's synchronous sink, used by the log
// thread alone; none of its registry, its thread pool or its loggers (node/DESIGN.md, Logs).
// The file is ours: spdlog's never looks whether it is still there, empties it where it cannot be renamed, and forgets
// its mode.
#include <cstddef>
#include <filesystem>
#include <memory>
#include <string_view>

#include <troupe/error.hpp>
#include <troupe/log_sink.hpp>

namespace troupe::internal {

// Owner and thread: the log thread. A failed write is an error and leaves the output usable: the next one tries again.
class log_output {
 public:
  virtual ~log_output() = default;
  // `coloured` bytes from the `colour_at`th are the level's.
  virtual result<void> write(log_level level, std::string_view line, std::size_t colour_at, std::size_t coloured) = 0;
  virtual result<void> flush() = 0;
};

// Colour only when the stream is a terminal that knows it.
[[nodiscard]] std::unique_ptr<log_output> console_output(bool to_stdout);
// `path`, then path.1 … path.count as it grows over `bytes`. Opened at the first write, and again when another file or
// none is at `path` by then; it keeps its mode, and standard output and error, where they are that file, go with it.
[[nodiscard]] std::unique_ptr<log_output> file_output(std::filesystem::path path, std::size_t bytes, std::size_t count);

}  // namespace troupe::internal
