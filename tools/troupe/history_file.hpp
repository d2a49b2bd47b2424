#pragma once
// What was typed in earlier shells: a file to which every shell of the user adds line by line, under a lock, so that
// none loses what another one, or one that was killed, had. Its form is libedit's own.
#include <string>
#include <string_view>
#include <vector>

namespace troupe::tool {

// Owner and thread: the line editor. The file is open only inside a call.
class history_file {
 public:
  explicit history_file(std::string path = {}) : path_(std::move(path)) {}

  // The last `most` lines, oldest first; a file that has grown to several times of that is cut down to them. Nothing
  // where there is no such file. A file that is no history is told of on standard error and never written to.
  [[nodiscard]] std::vector<std::string> load(std::size_t most);
  void append(std::string_view line);

 private:
  std::string path_;  // empty: no history is kept
};

}  // namespace troupe::tool
