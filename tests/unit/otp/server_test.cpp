// What a server does with messages: handlers of every form, what no handler takes, ends, the system's own messages.
#include "otp_test.hpp"

#include <atomic>

namespace troupe::test {
namespace {

struct Add {
  std::string name;
  std::int64_t amount = 0;
  TROUPE_MESSAGE(Add, "counter.add", name, amount)
};
struct Total {
  std::int64_t total = 0;
  TROUPE_FIELDS(Total, total)
};
struct Read {
  std::string name;
  TROUPE_MESSAGE(Read, "counter.read", name)
};
struct SlowRead {
  std::string name;
  TROUPE_MESSAGE(SlowRead, "counter.slow_read", name)
};
struct Strict {  // a call that fails with an error unless the name is known
  std::string name;
  TROUPE_MESSAGE(Strict, "counter.strict", name)
};
struct Park {
  TROUPE_MESSAGE(Park, "counter.park")
};
struct Release {
  std::int64_t answer = 0;
  TROUPE_MESSAGE(Release, "counter.release", answer)
};
struct Handover {
  TROUPE_MESSAGE(Handover, "counter.handover")
};
struct Fail {
  std::string how;
  TROUPE_MESSAGE(Fail, "counter.fail", how)
};
struct Unlisted {
  std::int64_t number = 0;
  TROUPE_MESSAGE(Unlisted, "unlisted", number)
};

task<> answer_for(process& self, message request) {
  co_await self.yield();
  self.reply(request, std::string("from another process"));
}

struct Counter {
  using messages = handles<Add, Read, SlowRead, Strict, Park, Release, Handover, Fail>;
  std::map<std::string, std::int64_t> totals;
  TROUPE_FIELDS(Counter, totals)
  message parked;

  void on(const Add& add) { totals[add.name] += add.amount; }
  Total on(const Read& read) { return Total(totals[read.name]); }
  task<Total> on(process& self, SlowRead read) {
    co_await self.sleep(1ms);
    co_return Total(totals[read.name]);
  }
  result<Total> on(const Strict& ask) {
    auto found = totals.find(ask.name);
    if (found == totals.end()) return error(errc::not_found, ask.name);
    return Total(found->second);
  }
  void on(process&, Park, message& request) { parked = std::move(request); }
  void on(process& self, Release release) { self.reply(parked, release.answer); }
  void on(process& self, Handover, message& request) { spawn(self, answer_for, std::move(request)); }
  void on(process& self, Fail fail) {
    if (fail.how == "throw") throw std::runtime_error("broken");
    self.exit(exit_reason(list_of({"shutdown", fail.how})));
  }
};

using Server = OtpTest;

TEST_F(Server, CastThenCall) {
  started counter = start_server<Counter>(*node, {.name = "counter"});
  ASSERT_TRUE(counter) << counter.text();
  EXPECT_EQ(pid_of("counter"), counter.process());
  here->send("counter", Add("apples", 2));
  here->send("counter", Add("apples", 3));
  auto total = here->call<Total>("counter", Read("apples"));
  ASSERT_TRUE(total) << total.error().message();
  EXPECT_EQ(total->total, 5);
}

TEST_F(Server, HandlerThatIsATaskAnswers) {
  pid counter = start_server<Counter>(*node, {}).or_exit();
  here->send(counter, Add("pears", 7));
  auto total = here->call<Total>(counter, SlowRead("pears"));
  ASSERT_TRUE(total);
  EXPECT_EQ(total->total, 7);
}

TEST_F(Server, CastThatArrivesAsACallIsAnsweredWithNil) {
  pid counter = start_server<Counter>(*node, {}).or_exit();
  auto nothing = here->call(counter, Add("a", 1));
  ASSERT_TRUE(nothing);
  EXPECT_TRUE(nothing->is_nil());
}

TEST_F(Server, CallThatArrivesAsACastIsHandledAndAnswersNobody) {
  pid counter = start_server<Counter>(*node, {}).or_exit();
  here->send(counter, Read("made by reading"));
  auto state = here->call(counter, sys_get_state());
  ASSERT_TRUE(state);
  EXPECT_EQ(state->print(), R"({totals = {["made by reading"] = 0}})");
}

TEST_F(Server, ResultBecomesReplyOrError) {
  pid counter = start_server<Counter>(*node, {}).or_exit();
  auto missing = here->call<Total>(counter, Strict("x"));
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code(), errc::not_found);
  EXPECT_EQ(missing.error().text(), "x");
  here->send(counter, Add("x", 1));
  EXPECT_EQ(here->call<Total>(counter, Strict("x"))->total, 1);
  // As a cast nobody hears the error: the log does.
  here->send(counter, Strict("nobody"));
  EXPECT_TRUE(wait_until([&] { return log->count("cast failed") == 1; }));
}

TEST_F(Server, ReplyLaterFromTheServerAndFromAnotherProcess) {
  pid counter = start_server<Counter>(*node, {.name = "counter"}).or_exit();
  auto asked = here->run(10s, [](process& self) -> task<std::int64_t> {
    pid asker = self.id();
    spawn(self, [asker](process& child) -> task<> {
      auto answer = co_await call<std::int64_t>(child, "counter", Park()).or_exit();
      child.send(asker, value(answer));
    });
    // The parked call has been taken when a later one is answered.
    (void)co_await call(self, "counter", Release(1));
    for (;;) {
      auto got = co_await self.receive(10ms);
      if (got) co_return *got->to_value().integer();
      self.send("counter", Release(42));
    }
  });
  ASSERT_TRUE(asked) << asked.error().message();
  EXPECT_EQ(*asked, 42);
  EXPECT_EQ(here->call<std::string>(counter, Handover()).value_or("nothing"), "from another process");
}

TEST_F(Server, DynamicValueFindsItsHandlerByTag) {
  pid counter = start_server<Counter>(*node, {}).or_exit();
  here->send(counter, list_of({"counter.add", map_of({{"name", "v"}, {"amount", 4}})}));
  auto total = here->call(counter, list_of({"counter.read", map_of({{"name", "v"}})}));
  ASSERT_TRUE(total) << total.error().message();
  EXPECT_EQ(total->print(), "{total = 4}");
}

TEST_F(Server, WrongFieldsAreRefusedAndTheServerLives) {
  pid counter = start_server<Counter>(*node, {.name = "counter"}).or_exit();
  auto refused = here->call(counter, list_of({"counter.read", map_of({{"name", 5}})}));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), errc::bad_argument);
  EXPECT_NE(refused.error().text().find("counter.read"), std::string::npos) << refused.error().text();
  EXPECT_NE(refused.error().text().find("name"), std::string::npos) << refused.error().text();
  here->send(counter, list_of({"counter.add", map_of({{"amount", "many"}})}));
  EXPECT_TRUE(wait_until([&] { return log->count("message refused") == 1; }));
  auto status = here->call(counter, sys_get_status());
  ASSERT_TRUE(status);
  EXPECT_EQ(status->integer_at("refused"), 2);
  EXPECT_EQ(pid_of("counter"), counter);
}

TEST_F(Server, UnknownCallEndsItWithAReasonThatNamesIt) {
  pid counter = start_server<Counter>(*node, {.name = "counter"}).or_exit();
  const ref watch = here->self().monitor(counter);
  auto lost = here->call(counter, Unlisted(9));
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error().code(), errc::exited) << lost.error().message();
  EXPECT_NE(lost.error().text().find("function_clause"), std::string::npos);
  auto got = here->receive(10s);
  ASSERT_TRUE(got);
  auto* ended = got->get<down>();
  ASSERT_TRUE(ended && ended->monitor == watch);
  EXPECT_TRUE(ended->reason.is("function_clause"));
  EXPECT_NE(ended->reason.text().find(R"(counter: no handler takes the call)"), std::string::npos)
      << ended->reason.text();
  EXPECT_NE(ended->reason.text().find("unlisted"), std::string::npos);
}

TEST_F(Server, UnknownPlainMessageIsLoggedAndCounted) {
  pid counter = start_server<Counter>(*node, {.name = "counter"}).or_exit();
  here->send(counter, Unlisted(9));
  here->send(counter, value("hello"));
  EXPECT_TRUE(wait_until([&] { return log->count("message that no handler takes") == 2; }));
  EXPECT_EQ(pid_of("counter"), counter);
}

TEST_F(Server, HandlerThatThrowsTellsCallerAndLog) {
  pid counter = start_server<Counter>(*node, {.name = "counter"}).or_exit();
  here->send(counter, Add("a", 1));
  auto lost = here->call(counter, Fail("throw"));
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error().code(), errc::exited);
  EXPECT_NE(lost.error().text().find("broken"), std::string::npos) << lost.error().text();
  // The caller hears it when the name is free again.
  EXPECT_FALSE(node->whereis("counter"));
  EXPECT_EQ(log->count("server ends"), 1u);
  for (const log_line& line : log->lines()) {
    if (line.text.find("server ends") == std::string::npos) continue;
    EXPECT_EQ(line.level, log_level::error);
    EXPECT_EQ(line.fields.text_at("report"), "server");
    EXPECT_EQ(line.fields.text_at("server"), "counter");
    EXPECT_EQ(line.fields.text_at("state"), "{totals = {a = 1}}");
    EXPECT_NE(line.fields.text_at("last_message").find("counter.fail"), std::string::npos);
  }
}

TEST_F(Server, CallsWaitingInTheMailboxHearItToo) {
  pid counter = start_server<Counter>(*node, {.name = "counter"}).or_exit();
  ASSERT_TRUE(here->call(counter, sys_suspend()));
  auto waiting = [&] { return node->core().summary(counter)->queued; };
  auto ask = [&](auto request) {
    here->spawn([asker = here->id(), request](process& self) -> task<> {
      auto lost = co_await call(self, "counter", request).within(wait_forever);
      self.send(asker, value(lost ? "answered" : lost.error().message()));
    });
  };
  ask(Fail("first"));
  ASSERT_TRUE(wait_until([&] { return waiting() == 1; }));
  ask(Read("a"));
  ASSERT_TRUE(wait_until([&] { return waiting() == 2; }));
  here->send("counter", sys_resume());
  for (int i = 0; i < 2; ++i) {
    auto told = here->receive(20s);
    ASSERT_TRUE(told) << i;
    EXPECT_EQ(told->to_value(), value(R"(exited: {"shutdown", "first"})")) << i;
  }
  EXPECT_TRUE(wait_until([&] { return !node->exists(counter); }));
}

TEST_F(Server, StateIsReadSuspendedAndStopped) {
  pid counter = start_server<Counter>(*node, {.name = "counter"}).or_exit();
  here->send(counter, Add("a", 1));
  EXPECT_EQ(here->call(counter, sys_get_state())->print(), "{totals = {a = 1}}");
  EXPECT_EQ(here->call(counter, list_of({"sys.get_state", map()}))->print(), "{totals = {a = 1}}");

  ASSERT_TRUE(here->call(counter, sys_suspend()));
  here->send(counter, Add("a", 1));
  auto status = here->call(counter, sys_get_status());
  ASSERT_TRUE(status);
  EXPECT_EQ(status->text_at("status"), "suspended");
  EXPECT_EQ(status->text_at("name"), "counter");
  EXPECT_EQ(here->call(counter, sys_get_state())->print(), "{totals = {a = 1}}");  // the cast waits
  EXPECT_EQ(here->call(counter, Read("a"), 20ms).error().code(), errc::timeout);
  ASSERT_TRUE(here->call(counter, sys_resume()));
  EXPECT_EQ(here->call<Total>(counter, Read("a"))->total, 2);

  auto stopped = here->run(10s, [counter](process& self) -> task<bool> {
    auto stopping = stop_server(self, counter);
    auto outcome = co_await std::move(stopping);
    co_return outcome.has_value();
  });
  EXPECT_TRUE(stopped.value_or(false));
  EXPECT_FALSE(node->exists(counter));
}

TEST_F(Server, StopOfASuspendedServerAndOfNobody) {
  pid counter = start_server<Counter>(*node, {.name = "counter"}).or_exit();
  ASSERT_TRUE(here->call(counter, sys_suspend()));
  auto outcomes = here->run(10s, [](process& self) -> task<std::string> {
    auto first = stop_server(self, "counter", exit_reason::shutdown());
    auto ended = co_await std::move(first);
    auto second = stop_server(self, "counter");
    auto nobody = co_await std::move(second);
    co_return std::string(ended ? "stopped " : "failed ") + nobody.error().name();
  });
  EXPECT_EQ(outcomes.value_or("?"), "stopped noproc");
}

TEST_F(Server, StopOfWhatDoesNotListenTimesOut) {
  pid deaf = here->spawn([](process& self) -> task<> { co_await self.sleep(wait_forever); });
  auto outcome = here->run(10s, [deaf](process& self) -> task<std::string> {
    auto stopping = stop_server(self, deaf, exit_reason::normal(), 10ms);
    auto stopped = co_await std::move(stopping);
    co_return stopped ? std::string("stopped") : stopped.error().name();
  });
  EXPECT_EQ(outcome.value_or("?"), "timeout");
}

struct Opaque {
  using messages = handles<Read>;
  Total on(const Read&) { return {}; }
};

TEST_F(Server, OneThatShowsNoStateSaysSo) {
  pid opaque = start_server<Opaque>(*node, {}).or_exit();
  auto state = here->call(opaque, sys_get_state());
  ASSERT_FALSE(state);
  EXPECT_EQ(state.error().code(), errc::unsupported);
}

struct Vault {
  using messages = handles<Fail>;
  value state() const { return map_of({{"password", "hunter2"}, {"user", "ann"}}); }
  value redact(value shown) const {
    if (map* entries = shown.entries()) {
      for (auto& [key, item] : *entries) {
        if (key == value("password")) item = "…";
      }
    }
    return shown;
  }
  void on(const Fail&) { throw std::logic_error("open"); }
};

TEST_F(Server, RedactHidesSecretsFromToolsAndLog) {
  pid vault = start_server<Vault>(*node, {}).or_exit();
  EXPECT_EQ(here->call(vault, sys_get_state())->text_at("password"), "…");
  here->send(vault, Fail("x"));
  EXPECT_TRUE(wait_until([&] { return log->count("server ends") == 1; }));
  EXPECT_EQ(log->count("hunter2"), 0u);
}

// -- calls of handlers are visible to a trace

class call_probe final : public detail::probe {
 public:
  void received(process&, const detail::envelope&) override {}
  void sent(process&, const address&, const detail::envelope&) override {}
  void called(process&, std::string_view function, list arguments) override {
    std::lock_guard lock(mutex_);
    seen_.push_back(std::string(function) + value(std::move(arguments)).print());
  }
  void returned(process&, std::string_view function, const value& result) override {
    std::lock_guard lock(mutex_);
    seen_.push_back(std::string(function) + " -> " + result.print());
  }
  void spawned(process&, pid) override {}
  void named(process&, std::string_view, bool) override {}
  void exited(process&, const exit_reason&) override {}
  std::vector<std::string> seen() const {
    std::lock_guard lock(mutex_);
    return seen_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> seen_;
};

TEST_F(Server, HandlersAreCallsForATrace) {
  call_probe probe;
  node->core().set_probe(&probe);
  pid counter = start_server<Counter>(*node, {.name = "counter"}).or_exit();
  (void)here->call(counter, Read("untraced"));
  node->core().set_trace(counter, detail::trace_flag::call);
  (void)here->call(counter, Add("a", 2));
  (void)here->call(counter, SlowRead("a"));
  (void)here->call(counter, Strict("b"));
  std::vector<std::string> expected = {R"(counter.add{"a", 2})", "counter.add -> nil", R"(counter.slow_read{"a"})",
                                       "counter.slow_read -> {total = 2}", R"(counter.strict{"b"})"};
  std::vector<std::string> seen = probe.seen();
  ASSERT_EQ(seen.size(), 6u);
  EXPECT_EQ(std::vector<std::string>(seen.begin(), seen.end() - 1), expected);
  EXPECT_NE(seen.back().find("not_found"), std::string::npos) << seen.back();
  node->core().set_trace(counter, 0);
  node->exit(counter, exit_reason::kill());
  EXPECT_TRUE(wait_until([&] { return !node->exists(counter); }));
  node->core().set_probe(nullptr);
}

}  // namespace
}  // namespace troupe::test
