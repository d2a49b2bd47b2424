// Memory that many Lua processes had is the system's again soon after they have ended.
#include "shell.hpp"

#include "support/memory.hpp"

namespace troupe::test {

using namespace std::chrono_literals;

#ifdef TROUPE_SANITIZED
constexpr int many = 500;  // a state takes several times as long
#else
constexpr int many = 3000;
#endif

TEST(MemoryBack, AfterManyLuaProcesses) {
  shell s;
  ASSERT_EQ(s.eval("1 + 1"), "2");
  const std::int64_t before = memory_in_use();
  s.eval("many = {} for i = 1, " + std::to_string(many) + " do many[i] = spawn(receive) end");
  ASSERT_TRUE(wait_until([&] { return memory_in_use() - before > many * 20'000; }));
  const std::int64_t full = memory_in_use() - before;
  s.eval("for _, one in ipairs(many) do exit(one, 'kill') end many = nil collectgarbage() return 'ok'");
  ASSERT_TRUE(wait_until([&] { return s.node->process_count() < 20; }));
  EXPECT_TRUE(wait_until([&] { return memory_in_use() - before < full / 4; }, 20s))
      << full << " bytes, then " << memory_in_use() - before;
}

}  // namespace troupe::test
