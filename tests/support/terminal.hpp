#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "support/program.hpp"
#include "support/screen.hpp"
#include "support/wait.hpp"

namespace troupe::test {

struct terminal_options {
  int rows = 24;
  int columns = 80;
  program_options child;  // `input` and `keep_input` have no meaning here
};

// A program behind a terminal of its own (forkpty): the test types and reads the screen. It has one thread, the
// test's; what the program wrote is read inside the waiting functions and `update`. Destroying it hangs up (SIGHUP,
// as when a window is closed), then kills.
class terminal {
 public:
  explicit terminal(const std::vector<std::string>& command, const terminal_options& options = {});
  ~terminal();
  terminal(const terminal&) = delete;
  terminal& operator=(const terminal&) = delete;

  pid_t pid() const { return pid_; }
  void type(std::string_view keys);       // as they are: "\t" completes, "\x03" is Ctrl-C
  void type_line(std::string_view text);  // with Enter
  void resize(int rows, int columns);     // the program gets SIGWINCH
  void hang_up();                         // closes the terminal

  const screen& shown();                                         // after reading what has arrived
  [[nodiscard]] bool echoes() const;                             // its mode, as the program has set it
  const std::string& transcript() const { return transcript_; }  // every byte so far, escapes included

  // Until the screen shows the text (or the condition holds); false at the deadline or when the program has ended
  // without showing it.
  [[nodiscard]] bool wait_text(std::string_view text, std::chrono::milliseconds deadline = default_deadline);
  [[nodiscard]] bool wait_screen(const std::function<bool(const screen&)>& condition,
                                 std::chrono::milliseconds deadline = default_deadline);
  // As program::wait_exit.
  [[nodiscard]] std::optional<int> wait_exit(std::chrono::milliseconds deadline = default_deadline);

 private:
  bool update();  // reads what is there; false once the other side has closed

  pid_t pid_ = -1;
  int master_ = -1;
  std::optional<int> exit_code_;
  screen screen_;
  std::string transcript_;
};

}  // namespace troupe::test
