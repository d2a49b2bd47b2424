// The optional hooks of a server: in which order they run and what reaches them.
#include "otp_test.hpp"

namespace troupe::test {
namespace {

struct Touch {
  TROUPE_MESSAGE(Touch, "touch")
};
struct End {
  std::string how;
  TROUPE_MESSAGE(End, "end", how)
};

struct Hooked {
  using messages = handles<Touch, End>;
  pid observer;
  duration idle = wait_forever;

  explicit Hooked(pid observer_given) : observer(observer_given) {}
  void note(process& self, std::string text) { self.send(observer, value(std::move(text))); }

  void init(process& self) {
    self.trap_exits(true);
    note(self, "init");
  }
  void on_continue(process& self) { note(self, "continue"); }
  void on(const Touch&) { idle = 1ms; }
  void on(process& self, End end) { self.exit(exit_reason(end.how.c_str())); }
  duration timeout() const { return idle; }
  void on_timeout(process& self) {
    idle = wait_forever;
    note(self, "silence");
  }
  // tidy: allow coroutine-reference, because the server holds the message until its hook has returned
  task<> on_other(process& self, message& other) {
    co_await self.yield();
    note(self, "other " + other.to_value().print());
  }
  void on_down(process& self, down& ended) { note(self, "down " + ended.reason.text()); }
  void on_exit(process& self, exit_message& ended) { note(self, "exit " + ended.reason.text()); }
  task<> terminate(process& self, const exit_reason& reason) {
    note(self, "terminate " + reason.text());
    return {};
  }
};

class ServerHooks : public OtpTest {
 protected:
  std::string next() {
    auto got = here->receive(10s);
    if (!got) return "nothing came";
    return std::string(*got->to_value().text());
  }
};

TEST_F(ServerHooks, RunInOrder) {
  pid hooked = start_server<Hooked>(*node, {}, here->id()).or_exit();
  EXPECT_EQ(next(), "init");
  EXPECT_EQ(next(), "continue");
  (void)here->call(hooked, Touch());
  EXPECT_EQ(next(), "silence");
  here->send(hooked, value(7));
  EXPECT_EQ(next(), "other 7");
  here->send(hooked, End("enough"));
  EXPECT_EQ(next(), "terminate \"enough\"");
}

TEST_F(ServerHooks, ExitSignalsReachTheHook) {
  pid hooked = start_server<Hooked>(*node, {}, here->id()).or_exit();
  EXPECT_EQ(next(), "init");
  EXPECT_EQ(next(), "continue");
  here->self().exit(hooked, exit_reason("go"));
  EXPECT_EQ(next(), "exit \"go\"");
  node->exit(hooked, exit_reason::kill());
  EXPECT_EQ(end_of(hooked).text(), "\"noproc\"") << "already gone or killed";
}

TEST_F(ServerHooks, EndOfTheParentTerminatesAServerThatTraps) {
  pid parent = here->spawn([observer = here->id()](process& self) -> task<> {
    auto starting = start_link<Hooked>(self, unnamed, observer);
    started hooked = co_await std::move(starting);
    (void)hooked.or_exit();
    (void)co_await self.receive(wait_forever);
    self.exit(exit_reason("parent's reason"));
  });
  EXPECT_EQ(next(), "init");
  EXPECT_EQ(next(), "continue");
  here->send(parent, value("end"));
  EXPECT_EQ(next(), "terminate \"parent's reason\"");
}

}  // namespace
}  // namespace troupe::test
