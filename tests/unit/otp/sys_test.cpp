// sys: replacing a state, the log of messages, statistics, who does not answer; replies that stop or continue.
#include "otp_test.hpp"

namespace troupe::test {
namespace {

struct Gain {
  std::int64_t amount = 0;
  TROUPE_MESSAGE(Gain, "gain", amount)
};
struct Sum {
  TROUPE_MESSAGE(Sum, "sum")
};
struct Finish {
  TROUPE_MESSAGE(Finish, "finish")
};
struct AfterReply {
  TROUPE_MESSAGE(AfterReply, "after_reply")
};
struct Hang {
  TROUPE_MESSAGE(Hang, "hang")
};

struct Watched {
  using messages = handles<Gain, Sum, Finish, AfterReply, Hang>;
  std::int64_t total = 0;
  void on(const Gain& gain) { total += gain.amount; }
  std::int64_t on(const Sum&) const { return total; }
  stopping<std::int64_t> on(const Finish&) const { return then_stop(total); }
  continuing<std::int64_t> on(const AfterReply&) const { return then_continue(total); }
  task<> on(process& self, Hang) { co_await self.sleep(300ms); }
  void on_continue(process&) { total += 1000; }
  [[nodiscard]] value redact(value shown) const { return shown; }
  TROUPE_FIELDS(Watched, total)
};

class SysTest : public OtpTest {
 protected:
  template <class F>
  auto run(F body) {
    return here->run(20s, std::move(body)).or_exit();
  }
};

TEST_F(SysTest, AStateIsReplacedWhereThatIsAllowed) {
  start_server<Watched>(*node, {.name = "open", .replace_state = true}).or_exit();
  start_server<Watched>(*node, {.name = "shut"}).or_exit();
  const auto got = run([](process& self) -> task<std::string> {
    const value seven = map_of({{"total", 7}}), wrong_type = map_of({{"total", "x"}});
    auto done = co_await sys::replace_state(self, "open", seven);
    auto total = co_await call<std::int64_t>(self, "open", Sum());
    auto wrong = co_await sys::replace_state(self, "open", wrong_type);
    auto same = co_await call<std::int64_t>(self, "open", Sum());
    auto refused = co_await sys::replace_state(self, "shut", seven);
    auto nobody = co_await sys::replace_state(self, "none", value());
    co_return (done ? "ok " : done.error().message() + " ") + std::to_string(total.or_exit()) + " " +
        wrong.error().name() + " " + std::to_string(same.or_exit()) + " " + refused.error().name() + " " +
        nobody.error().name();
  });
  EXPECT_EQ(got, "ok 7 bad_argument 7 not_allowed noproc");
}

TEST_F(SysTest, TheLogIsARingAndStatisticsCount) {
  start_server<Watched>(*node, {.name = "counter"}).or_exit();
  const auto got = run([](process& self) -> task<std::string> {
    auto off = co_await sys::statistics_get(self, "counter");
    (void)co_await sys::log(self, "counter", 2);
    (void)co_await sys::statistics(self, "counter", true);
    for (std::int64_t i = 1; i < 5; ++i) self.send("counter", Gain(i));
    (void)co_await call<std::int64_t>(self, "counter", Sum());
    auto log = co_await sys::log_get(self, "counter");
    auto counted = co_await sys::statistics_get(self, "counter");
    (void)co_await sys::log(self, "counter", 0);
    (void)co_await sys::statistics(self, "counter", false);
    auto empty = co_await sys::log_get(self, "counter");
    auto wrong = co_await call<value>(self, "counter", sys_log(value("all")));
    std::string out = off.error().name();
    for (const value& event : *log->items()) {
      out += " " + event.find("message")->print() + (*event.find("call")->boolean() ? " asked" : "");
    }
    co_return out + " " + counted->find("messages_in")->print() + " " + counted->find("calls_in")->print() + " " +
        std::to_string(empty->items()->size()) + " " + wrong.error().name();
  });
  EXPECT_EQ(got, R"(not_found {"gain", {amount = 4}} {"sum", {}} asked 5 1 0 bad_argument)");
}

TEST_F(SysTest, WhoDoesNotAnswerIsNotResponding) {
  start_server<Watched>(*node, {.name = "counter"}).or_exit();
  const auto got = run([](process& self) -> task<std::string> {
    self.send("counter", Hang());
    auto late = co_await sys::get_state(self, "counter", 10ms);
    auto there = co_await sys::get_state(self, "counter");
    (void)co_await sys::suspend(self, "counter");
    auto silent = co_await call<std::int64_t>(self, "counter", Sum()).within(20ms);
    auto status = co_await sys::get_status(self, "counter");
    (void)co_await sys::resume(self, "counter");
    auto again = co_await call<std::int64_t>(self, "counter", Sum());
    co_return late.error().name() + (there ? " state " : " ? ") + silent.error().name() + " " +
        std::string(status->text_at("status")) + (again ? " runs" : " ?");
  });
  EXPECT_EQ(got, "not_responding state timeout suspended runs");
}

TEST_F(SysTest, AReplyMayEndOrGoOn) {
  start_server<Watched>(*node, {.name = "counter"}).or_exit();
  const pid who = pid_of("counter");
  const ref watch = here->self().monitor(who);
  EXPECT_EQ(here->call<std::int64_t>("counter", Sum()).or_exit(), 1000) << "on_continue after the start";
  EXPECT_EQ(here->call<std::int64_t>("counter", AfterReply()).or_exit(), 1000);
  EXPECT_EQ(here->call<std::int64_t>("counter", Sum()).or_exit(), 2000) << "and after the reply, before the next";
  EXPECT_EQ(here->call<std::int64_t>("counter", Finish()).or_exit(), 2000);
  auto got = here->receive(10s);
  ASSERT_TRUE(got && got->get<down>() && got->get<down>()->monitor == watch);
  EXPECT_EQ(got->get<down>()->reason.text(), "\"normal\"");
}

}  // namespace
}  // namespace troupe::test
