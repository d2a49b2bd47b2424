// What the machine expects of a process's states, where it can be broken from outside: see troupe/expect.hpp.
#include "runtime_support.hpp"

#include "runtime/process_private.hpp"

namespace troupe::test {
namespace {

using detail::core;
using detail::process_private;

class StatesDeathTest : public testing::Test {
 protected:
  StatesDeathTest() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
  std::unique_ptr<node> n = detail::make_bare_node({.name = "test@localhost", .workers = 1});
  core& home = n->core();
};

TEST_F(StatesDeathTest, ABlockBeginsOnceAndEndsOnce) {
  process& p = *home.take_slot().or_exit();
  home.open_slot(p, pid());
  EXPECT_DEATH(home.open_slot(p, pid()), "broken invariant: word == priv::closed\n.*\n  with process = 1, inbox = 0\n");
  EXPECT_DEATH(home.retire(p), "with process = 1, inbox = 0\n") << "its mailbox is still open";
  process_private::finish(p, exit_reason::normal());
  EXPECT_DEATH(process_private::finish(p, exit_reason::normal()),
               "broken invariant: status != .*\n.*\n"
               "  with process = 1\n");
}

TEST_F(StatesDeathTest, AFreeBlockHasKeptNothing) {
  process& p = *home.take_slot().or_exit();
  home.open_slot(p, pid());
  EXPECT_DEATH(
      {
        home.abandon_slot(p);  // as if it had never been opened
        static_cast<void>(home.take_slot());
      },
      "broken invariant: word == priv::closed .*\n.*process_table\\.cpp:[0-9]+ in .*pop");
  process_private::finish(p, exit_reason::normal());
}

TEST_F(StatesDeathTest, OnlyAProcessIsHeld) {
  EXPECT_DEATH(core::hold(), "broken invariant: self != nullptr\n.*core\\.cpp:[0-9]+ in .*hold");
  EXPECT_DEATH(core::overrun(exit_reason::normal()),
               "broken invariant: self != nullptr\n.*core\\.cpp:[0-9]+ in .*overrun");
}

TEST_F(StatesDeathTest, WhoEndsHasAReason) {
  EXPECT_DEATH(
      {
        auto here = n->make_handle().or_exit();
        auto ended = here->run(patience, [](process& self) -> task<bool> {
          process_private::flags(self) |= process_private::doomed;  // and no word why
          co_await self.yield();
          co_return true;
        });
        static_cast<void>(ended);
      },
      "broken invariant: p.cold_ && p.cold_->doom\n.*\n  with process = [0-9]+, flags = [0-9]+\n"
      "  in process <test@localhost#1\\.[0-9]+> \\(");
}

}  // namespace
}  // namespace troupe::test
