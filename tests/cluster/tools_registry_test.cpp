// `troupe registry NODE --watch`: what changes among names, groups and locks.
#include "tools_support.hpp"

#include <algorithm>
#include <sstream>

#include "observe/json.hpp"
#include "observe/registry_watch.hpp"
#include "shell_window.hpp"

namespace troupe::test {
namespace {

class RegistryWatch : public ToolTest {
 protected:
  // Processes of the node that watch its registry for a tool.
  std::int64_t watches() {
    auto shown = internal::from_json(tool({"ps", "sample", "--json"}).out);
    if (!shown || !shown->items()) return -1;
    return std::ranges::count_if(
        *shown->items(), [](const value& one) { return one.text_at("entry") == internal::registry_watch_entry; });
  }
  std::unique_ptr<shell_window> open_shell() {
    std::vector<std::string> command{tool_path(), "remote", "sample"};
    return std::make_unique<shell_window>(std::move(command), environment(), "sample@localhost");
  }
};

TEST_F(RegistryWatch, TellsEachChange) {
  auto node = start_sample();
  auto watch = tool_in_background({"registry", "sample", "--watch", "--interval", "20ms"});
  ASSERT_TRUE(watch->wait_output("watching names, groups and locks of sample@localhost, ")) << watch->err();
  auto shell = open_shell();
  std::string line = shell->enter("register(self(), \"todo\")");
  EXPECT_EQ(line, "true");
  EXPECT_TRUE(watch->wait_output(" local registered todo <sample@localhost#")) << watch->out();
  EXPECT_EQ(shell->enter("unregister(\"todo\")"), "true");
  EXPECT_TRUE(watch->wait_output(" local unregistered todo <sample@localhost#")) << watch->out();
  EXPECT_EQ(shell->enter("global.register_name({\"todo_list\", \"bob\"}, self())"), "\"yes\"");
  EXPECT_TRUE(watch->wait_output(" global registered {\"todo_list\", \"bob\"} <sample@localhost#")) << watch->out();
  EXPECT_EQ(shell->enter("pg.join(\"room\", self())"), "\"ok\"");
  EXPECT_TRUE(watch->wait_output(" groups joined room <sample@localhost#")) << watch->out();
  EXPECT_EQ(shell->enter("pg.start(\"chat\") pg.join(\"hall\", self(), \"chat\")"), "");
  EXPECT_TRUE(watch->wait_output(" groups joined hall <sample@localhost#")) << watch->out();
  EXPECT_NE(watch->out().find(" of scope chat\n"), std::string::npos) << watch->out();
  EXPECT_EQ(shell->enter("global.set_lock({\"disk\", self()}) == true"), "true");
  EXPECT_TRUE(watch->wait_output(" locks taken disk <sample@localhost#")) << watch->out();
  EXPECT_NE(watch->out().find(" fence "), std::string::npos) << watch->out();
  EXPECT_EQ(shell->enter("global.del_lock({\"disk\", self()})"), "true");
  EXPECT_TRUE(watch->wait_output(" locks freed disk <sample@localhost#")) << watch->out();
  // What held it all ends: each is told.
  EXPECT_TRUE(shell->enter("exit(self(), \"kill\") sleep(10000)").find("killed") != std::string::npos)
      << shell->screen_text();
  EXPECT_TRUE(watch->wait_output(" groups left room <sample@localhost#")) << watch->out();
  EXPECT_TRUE(watch->wait_output(" global unregistered {\"todo_list\", \"bob\"} <sample@localhost#")) << watch->out();
  watch->signal(SIGINT);
  EXPECT_EQ(watch->wait_exit(), 0) << watch->err();
  EXPECT_TRUE(wait_until([&] { return watches() == 0; })) << "the node's part ends with the tool";
}

TEST_F(RegistryWatch, OfOneKindFilteredAsJson) {
  auto node = start_sample();
  auto watch =
      tool_in_background({"registry", "sample", "groups", "--watch", "--name", "ro*", "--json", "--count", "2"});
  ASSERT_TRUE(wait_until([&] { return watches() == 1; })) << watch->err();
  auto shell = open_shell();
  EXPECT_EQ(shell->enter("register(self(), \"room\")"), "true");
  EXPECT_EQ(shell->enter("pg.join(\"hall\", self())"), "\"ok\"");
  EXPECT_EQ(shell->enter("pg.join(\"room\", self()), pg.leave(\"room\", self())"), "\"ok\", \"ok\"");
  EXPECT_EQ(watch->wait_exit(), 0) << watch->err();
  std::istringstream lines(watch->out());
  for (const char* what : {"joined", "left"}) {
    std::string line;
    ASSERT_TRUE(std::getline(lines, line)) << watch->out();
    auto shown = internal::from_json(line);
    ASSERT_TRUE(shown) << line;
    EXPECT_EQ(shown->text_at("kind"), "groups") << line;
    EXPECT_EQ(shown->text_at("what"), what) << line;
    EXPECT_EQ(shown->text_at("name"), "room") << line;
    EXPECT_EQ(shown->text_at("scope"), "pg") << line;
    EXPECT_EQ(shown->text_at("node"), "sample@localhost") << line;
    EXPECT_GT(shown->integer_at("at_us"), 0) << line;
  }
  std::string more;
  EXPECT_FALSE(std::getline(lines, more)) << more;
}

TEST_F(RegistryWatch, EndsInTimeAndWithItsNode) {
  auto node = start_sample();
  EXPECT_EQ(tool({"registry", "sample", "local", "--watch", "--for", "50ms"}).exit_code, 0);
  EXPECT_EQ(tool({"registry", "sample", "locl", "--watch"}).exit_code, 2);
  EXPECT_EQ(tool({"registry", "sample", "all"}).exit_code, 2) << "without --watch";
  const outcome useless = tool({"registry", "sample", "--count", "3"});
  EXPECT_EQ(useless.exit_code, 2);
  EXPECT_NE(useless.err.find("--count goes with --watch"), std::string::npos) << useless.err;
  EXPECT_EQ(tool({"registry", "sample", "--watch", "--interval", "1ms"}).exit_code, 2);
  EXPECT_NE(tool({"registry", "--help"}).out.find("250ms if not said"), std::string::npos);
  auto watch = tool_in_background({"registry", "sample", "--watch"});
  ASSERT_TRUE(watch->wait_output("watching")) << watch->err();
  node->signal(SIGKILL);
  EXPECT_EQ(watch->wait_exit(), 3) << watch->err();
  EXPECT_NE(watch->err().find("sample@localhost is gone"), std::string::npos) << watch->err();
}

TEST_F(RegistryWatch, IsForgottenWhenItIsKilled) {
  auto node = start_sample();
  auto watch = tool_in_background({"registry", "sample", "--watch"});
  ASSERT_TRUE(watch->wait_output("watching")) << watch->err();
  EXPECT_EQ(watches(), 1);
  watch->signal(SIGKILL);
  EXPECT_TRUE(wait_until([&] { return watches() == 0; }));
}

}  // namespace
}  // namespace troupe::test
