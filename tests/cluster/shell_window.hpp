#pragma once
// `troupe shell` in a terminal of its own: a test types and reads what is on the screen.
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "support/terminal.hpp"
#include "tools_support.hpp"

namespace troupe::test {

[[nodiscard]] inline bool has(const std::string& text, std::string_view what) {
  return text.find(what) != std::string::npos;
}

class shell_window {
 public:
  shell_window(std::vector<std::string> command, program_options how, const std::string& node)
      : prompt_(node + ">"), terminal_(std::move(command), {.rows = 40, .columns = 250, .child = std::move(how)}) {}

  [[nodiscard]] bool ready() {
    return terminal_.wait_screen([&](const screen& s) { return ends_with_prompt(s); });
  }
  // Types a line at the prompt. What the screen shows between it and the next prompt, its last line break left off.
  std::string enter(const std::string& line) {
    if (!ready()) return "no prompt: " + terminal_.shown().text();
    terminal_.type("\x0c");  // Ctrl-L: only what follows is on the screen
    if (!terminal_.wait_screen([&](const screen& s) { return s.text() == prompt_ + "\n"; }))
      return "not cleared: " + terminal_.shown().text();
    terminal_.type_line(line);
    const std::string typed = prompt_ + " " + line + "\n";
    const bool answered = terminal_.wait_screen([&](const screen& s) {
      return s.text().size() > typed.size() && s.text().starts_with(typed) && ends_with_prompt(s);
    });
    std::string text = terminal_.shown().text();
    if (!answered) return "no answer: " + text;
    text = text.substr(typed.size(), text.size() - typed.size() - prompt_.size() - 1);
    if (text.ends_with('\n')) text.pop_back();
    return text;
  }
  // The same until the answer holds this; for what takes its time to be known everywhere.
  bool enter_until(const std::string& line, const std::string& answer) {
    return wait_until([&] { return enter(line) == answer; });
  }
  bool shows(const std::string& text) { return terminal_.wait_text(text); }
  std::string screen_text() { return terminal_.shown().text(); }
  terminal& tty() { return terminal_; }

 private:
  bool ends_with_prompt(const screen& s) const {
    const std::string text = s.text();
    return text == prompt_ + "\n" || text.ends_with("\n" + prompt_ + "\n");
  }

  std::string prompt_;
  terminal terminal_;
};

class SessionTest : public ToolTest {
 protected:
  // A node of its own, as `iex --sname NAME` is one.
  std::unique_ptr<shell_window> shell(const std::string& name, std::vector<std::string> more = {}) {
    std::vector<std::string> command{tool_path(), "shell", "--name", name};
    command.insert(command.end(), more.begin(), more.end());
    auto made = std::make_unique<shell_window>(command, environment(), name);
    EXPECT_TRUE(made->ready()) << made->tty().transcript();
    return made;
  }
  std::unique_ptr<shell_window> remote(const std::string& node) {
    auto made = std::make_unique<shell_window>(std::vector<std::string>{tool_path(), "remote", node}, environment(),
                                               node + "@localhost");
    EXPECT_TRUE(made->ready()) << made->tty().transcript();
    return made;
  }
};

}  // namespace troupe::test
