#include "boot/console.hpp"

#include <gtest/gtest.h>

#include <pty.h>
#include <unistd.h>

namespace troupe::internal {
namespace {

// What arrives at the other end of it, up to a line break.
std::string line_from(int fd) {
  std::string out;
  for (char one = 0; one != '\n' && read(fd, &one, 1) == 1;) out += one;
  return out;
}

TEST(Console, ShowsATerminalNoControlAndGivesAPipeWhatWasPrinted) {
  const std::string printed = "\x1b[2J\u009b31m \u202ex ü\n";
  int terminal[2];
  ASSERT_EQ(openpty(&terminal[0], &terminal[1], nullptr, nullptr, nullptr), 0);
  int plain[2];
  ASSERT_EQ(pipe(plain), 0);
  {
    console first(terminal[1]);
    first.put(printed);
    console second(plain[1]);
    second.put(printed);
    EXPECT_EQ(line_from(terminal[0]), "\\x1b[2J\\xc2\\x9b31m \\xe2\\x80\\xaex ü\r\n");
    EXPECT_EQ(line_from(plain[0]), printed);
  }
  for (int fd : {terminal[0], terminal[1], plain[0], plain[1]}) close(fd);
}

}  // namespace
}  // namespace troupe::internal
