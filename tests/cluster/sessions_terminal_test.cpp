// The terminal and the history of a shell, however the shell ends or is stopped; and the end of the process behind it.
#include "shell_window.hpp"

#include <signal.h>

namespace troupe::test {
namespace {

class ShellTerminal : public SessionTest {
 protected:
  // `troupe shell` as a job of a shell that does not look after the terminal's modes itself.
  std::unique_ptr<terminal> job() {
    auto how = environment();
    how.environment["PS1"] = "job$ ";
    how.environment["ENV"] = std::nullopt;
    how.environment["TROUPE_TOOL"] = tool_path();
    auto made = std::make_unique<terminal>(std::vector<std::string>{"dash", "-i"},
                                           terminal_options{.rows = 40, .columns = 150, .child = std::move(how)});
    EXPECT_TRUE(made->wait_text("job$"));
    made->type_line("$TROUPE_TOOL shell --name node1@localhost");
    EXPECT_TRUE(made->wait_text("node1@localhost>")) << made->transcript();
    return made;
  }
  static bool echoes(terminal& tty) {
    // What is typed before the shell has its terminal back may be thrown away.
    if (!tty.wait_screen([](const screen& s) { return s.text().ends_with("job$\n"); })) return false;
    tty.type_line("clear; stty -a | tr ' ;' '\\n\\n' | grep -x -e echo -e -echo | sed 's/^/it:/'");
    return tty.wait_screen([](const screen& s) {
      return s.text().find("it:echo") != std::string::npos || s.text().find("it:-echo") != std::string::npos;
    }) && tty.shown().text().find("it:echo") != std::string::npos;
  }
  // The os process of node1.
  pid_t os_pid() {
    const std::string line = tool({"ping", "node1"}).out;
    const std::size_t at = line.find("os pid ");
    return at == std::string::npos ? -1 : static_cast<pid_t>(std::stol(line.substr(at + 7)));
  }
};

TEST_F(ShellTerminal, EchoIsBackWhateverEndsTheShell) {
  for (int number : {SIGTERM, SIGHUP, SIGQUIT}) {
    auto tty = job();
    const pid_t shell = os_pid();
    ASSERT_GT(shell, 0) << tty->transcript();
    EXPECT_EQ(kill(shell, number), 0);
    EXPECT_TRUE(wait_until([&] { return !process_exists(shell); }));
    EXPECT_TRUE(echoes(*tty)) << number << "\n" << tty->transcript();
  }
}

TEST_F(ShellTerminal, EchoIsBackWhileTheShellIsStopped) {
  auto tty = job();
  tty->type("1 +");
  EXPECT_TRUE(tty->wait_text("node1@localhost> 1 +"));
  tty->type("\x1a");  // Ctrl-Z
  EXPECT_TRUE(tty->wait_text("Stopped")) << tty->transcript();
  EXPECT_TRUE(echoes(*tty)) << tty->transcript();
  // And the keys are the shell's once more, with what was typed before.
  tty->type_line("clear; fg");
  EXPECT_TRUE(tty->wait_text("node1@localhost> 1 +")) << tty->shown().text();
  tty->type_line(" 41");
  EXPECT_TRUE(tty->wait_text("\n42\n")) << tty->shown().text();
  tty->type("\x04");
  EXPECT_TRUE(echoes(*tty)) << tty->transcript();
}

// The keys are the shell's before its prompt is drawn, and that may take its time: here until Ctrl-Q.
TEST_F(ShellTerminal, EchoIsBackThoughThePromptIsNotDrawnYet) {
  for (int number : {SIGQUIT, SIGTERM, SIGTSTP}) {
    terminal tty({tool_path(), "shell", "--name", "node1@localhost"},
                 {.rows = 40, .columns = 150, .child = environment()});
    tty.type("\x13");  // Ctrl-S
    ASSERT_TRUE(wait_until([&] { return !tty.echoes(); })) << tty.transcript();
    EXPECT_EQ(kill(tty.pid(), number), 0);
    EXPECT_TRUE(wait_until([&] { return tty.echoes(); })) << number;
    if (number != SIGTSTP) {
      EXPECT_EQ(tty.wait_exit(), 128 + number);
      EXPECT_TRUE(tty.echoes()) << number;
      continue;
    }
    // Nobody could continue it, so that the system does not stop it: the keys are its own once more.
    tty.type("\x11");  // Ctrl-Q
    EXPECT_TRUE(tty.wait_text("node1@localhost>")) << tty.transcript();
    EXPECT_TRUE(wait_until([&] { return !tty.echoes(); })) << tty.transcript();
    tty.type("1 + 41\r");
    EXPECT_TRUE(tty.wait_text("42")) << tty.transcript();
  }
}

TEST_F(ShellTerminal, NoLineOfHistoryIsLost) {
  auto first = shell("node1@localhost");
  auto second = shell("node2@localhost");
  EXPECT_EQ(first->enter("\"from the first\""), "\"from the first\"");
  EXPECT_EQ(second->enter("\"from the \\\\ second ü\""), "\"from the \\\\ second ü\"");
  EXPECT_EQ(first->enter("\"once more\""), "\"once more\"");
  for (auto* one : {&first, &second}) {
    kill((*one)->tty().pid(), SIGKILL);
    EXPECT_EQ((*one)->tty().wait_exit(), 137);
  }
  auto third = shell("node3@localhost");
  third->tty().type("\x10");  // Ctrl-P
  EXPECT_TRUE(third->shows("> \"once more\"")) << third->screen_text();
  third->tty().type("\x10");
  EXPECT_TRUE(third->shows("the \\\\ second ü\"")) << third->screen_text();
  third->tty().type("\x10");
  EXPECT_TRUE(third->shows("> \"from the first\"")) << third->screen_text();
}

TEST_F(ShellTerminal, AFileThatIsNoHistoryIsLeftAlone) {
  const std::string path = home_.write("notes", "my notes\n").string();
  auto how = environment();
  how.environment["TROUPE_HISTORY"] = path;
  shell_window window({tool_path(), "shell", "--name", "node1@localhost"}, how, "node1@localhost");
  EXPECT_EQ(window.enter("1 + 1"), "2");
  EXPECT_NE(window.tty().transcript().find("notes is no history of a shell"), std::string::npos);
  window.tty().type("\x04");
  EXPECT_EQ(window.tty().wait_exit(), 0);
  EXPECT_EQ(read_file(path), "my notes\n");
}

// The node may stop before its shell has begun, which is nobody's crash.
TEST_F(ShellTerminal, NothingTypedIsNothingSaid) {
  for (int i = 0; i < 10; ++i) {
    const outcome got = tool({"shell", "--name", "node1@localhost"});
    EXPECT_EQ(got.exit_code, 0);
    EXPECT_EQ(got.out + got.err, "");
  }
}

// The process behind the prompt may be ended by anyone while nothing runs.
TEST_F(ShellTerminal, AnIdleSessionIsToldThatItsProcessDied) {
  auto window = shell("node1@localhost");
  EXPECT_EQ(window->enter("kept = 7"), "");
  EXPECT_EQ(window->enter("register(self(), \"shell\")"), "true");
  const outcome ended = tool({"exit", "node1", "shell", "kill"});
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_TRUE(window->shows(" ended: \"killed\"; now it is <node1@localhost#") ||
              window->shows(" ended: killed; now it is <node1@localhost#"))
      << window->screen_text();
  EXPECT_EQ(window->enter("kept"), "7");
}

}  // namespace
}  // namespace troupe::test
