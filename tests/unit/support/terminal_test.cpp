#include "support/terminal.hpp"

#include <gtest/gtest.h>
#include <signal.h>

namespace {

using namespace std::chrono_literals;
using troupe::test::screen;
using troupe::test::terminal;

TEST(Screen, KeepsTextWhereItWasPut) {
  screen shown(4, 10);
  shown.feed("one\r\ntwo\x1b[1;6Hend\x1b[3;1Hthree\b\b\x1b[K");
  EXPECT_EQ(shown.text(), "one  end\ntwo\nthr\n");
  EXPECT_EQ(shown.cursor_row(), 2);
  EXPECT_EQ(shown.cursor_column(), 3);
}

TEST(Screen, WrapsAndScrolls) {
  screen shown(2, 4);
  shown.feed("abcdef\r\ngh");
  EXPECT_EQ(shown.text(), "ef\ngh\n");
}

TEST(Screen, InsertsAndDeletesInALine) {
  screen shown(1, 10);
  shown.feed("abcdef\r\x1b[2C\x1b[2P\x1b[@X");
  EXPECT_EQ(shown.row(0), "abXef");
}

TEST(Screen, ForgetsColoursTitlesAndCharacterSets) {
  screen shown(1, 20);
  shown.feed("\x1b]0;title\a\x1b(B\x1b[1;31mred\x1b[0m \xc3\xa9");
  EXPECT_EQ(shown.row(0), "red \xc3\xa9");
}

TEST(Screen, TheSecondScreenLeavesTheFirstAlone) {
  screen shown(2, 10);
  shown.feed("shell\r\n\x1b[?1049h\x1b[Htop");
  EXPECT_EQ(shown.text(), "top\n");
  shown.feed("\x1b[?1049l");
  EXPECT_EQ(shown.text(), "shell\n");
  EXPECT_EQ(shown.cursor_row(), 1);
}

TEST(Terminal, TypesAndReads) {
  terminal window({"sh", "-c", "test -t 0 && stty size; read line; echo \"<$line>\"; exit 4"},
                  {.rows = 10, .columns = 40});
  EXPECT_TRUE(window.wait_text("10 40"));
  window.type_line("hello");
  EXPECT_TRUE(window.wait_text("<hello>"));
  EXPECT_EQ(window.wait_exit(), 4);
}

TEST(Terminal, CtrlCInterrupts) {
  terminal window({"cat"});  // no shell: dash loses an interrupt that arrives while it starts a program
  window.type_line("ready");
  ASSERT_TRUE(window.wait_text("ready\nready"));
  window.type("\x03");
  EXPECT_EQ(window.wait_exit(), 128 + SIGINT);
}

TEST(Terminal, HangingUpEndsTheProgram) {
  terminal window({"sh", "-c", "echo ready; exec sleep 1000"});
  ASSERT_TRUE(window.wait_text("ready"));
  window.hang_up();
  EXPECT_EQ(window.wait_exit(), 128 + SIGHUP);
}

TEST(Terminal, AnEndedProgramIsNotWaitedFor) {
  terminal window({"true"});
  EXPECT_FALSE(window.wait_text("never"));
}

}  // namespace
