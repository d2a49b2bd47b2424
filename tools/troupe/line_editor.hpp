#pragma once
// A line that a person edits while other things happen: libedit, driven from a poll loop. Output can be written above
// the line at any time.
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::tool {

struct completion {
  std::string word;  // the end of what was typed, which an item replaces
  std::vector<std::string> items;
};

// Owner and thread: whoever polls. Standard input and output must be a terminal.
class line_editor {
 public:
  enum class outcome {
    more,
    line,
    end
  };  // nothing finished yet; Enter; Ctrl-D on an empty line, or no terminal any more

  // `history` is a file (history_file.hpp), empty for none; read now, each line added as it is typed.
  explicit line_editor(std::string history);
  ~line_editor();
  line_editor(const line_editor&) = delete;
  line_editor& operator=(const line_editor&) = delete;

  // Given what stands before the cursor. May wait shortly.
  void on_complete(std::function<completion(std::string_view line)> ask);

  void show(std::string prompt);  // a new, empty line; the terminal is ours from now on
  void hide();                    // gives the terminal back
  [[nodiscard]] bool shown() const noexcept;
  // When standard input is readable. After `line` or `end` the editor is hidden.
  outcome read(std::string& line);
  void print(std::string_view text);  // above the line while one is shown
  void remember(const std::string& line);

 private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

}  // namespace troupe::tool
