#include "lab.hpp"

namespace troupe::test {
namespace {

trace::spec receives(value whom) {
  trace::spec what;
  what.processes = {std::move(whom)};
  what.receive = true;
  return what;
}

// Nothing is traced any more: what a worker handles from here on meets no hook.
void expect_quiet(lab& lab, const address& worker) {
  EXPECT_TRUE(wait_until([&] { return lab.watching->tracing().session_count() == 0; }));
  EXPECT_EQ(lab.watching->tracing().covered_count(), 0u);
  lab.settle(worker);
  const auto before = lab.watching->tracing().hook_count();
  for (int i = 0; i < 10; ++i) lab.here->send(worker, Poke(i));
  lab.settle(worker);
  EXPECT_EQ(lab.watching->tracing().hook_count(), before);
}

TEST(TraceFormat, ShowsNoControlOfANameFromElsewhere) {
  const value called = map_of(
      {{"kind", "call"}, {"time", 0}, {"pid", "<a\u009b31m>"}, {"function", "b\u202ec"}, {"arguments", list_of({})}});
  EXPECT_TRUE(trace::format(called).ends_with(R"( <a\xc2\x9b31m> b\xe2\x80\xaec())")) << trace::format(called);
}

TEST(Trace, ToldOfEachMessageThatIsReceived) {
  lab lab;
  const pid worker = lab.start("lab.worker");
  auto session = trace::start(lab.self(), receives("lab.worker")).or_exit();
  EXPECT_EQ(session.matched, 1u);
  const auto started = lab.next<trace::started>();
  EXPECT_EQ(started.matched, 1u);
  EXPECT_EQ(started.session, session.process);
  for (int i = 1; i <= 3; ++i) lab.here->send(worker, Poke(i));
  for (int i = 1; i <= 3; ++i) {
    const value seen = lab.next<trace::event>().what;
    EXPECT_EQ(seen.integer_at("seq"), i);
    EXPECT_EQ(seen.text_at("kind"), "receive");
    EXPECT_EQ(seen.text_at("name"), "lab.worker");
    EXPECT_EQ(*seen.find("pid"), value(worker));
    EXPECT_EQ(seen.find("message")->print(), "{\"lab.poke\", {number = " + std::to_string(i) + "}}");
    EXPECT_GT(seen.integer_at("time"), 1'600'000'000'000'000'000);
  }
  trace::stop(lab.self(), session);
  const auto done = lab.next<trace::done>();
  EXPECT_EQ(done.reason, "stopped");
  EXPECT_EQ(done.events, 3u);
  EXPECT_EQ(done.lost, 0u);
  expect_quiet(lab, worker);
}

task<std::int64_t> twice_of(process&, std::int64_t number) { co_return number * 2; }
const troupe::function twice{"lab.math.twice", twice_of};

task<> calling(process& self, pid told) {
  for (;;) {
    auto got = co_await self.receive<Poke>(wait_forever);
    if (!got) continue;
    auto out = co_await twice(self, got->number);
    self.send(told, Answer(out));
  }
}

TEST(Trace, CallsWithReturnsAndSends) {
  lab lab;
  const pid caller = lab.here->spawn(calling, lab.here->id());
  trace::spec what;
  what.processes = {caller};
  what.calls = {"lab.math"};
  what.returns = true;
  what.send = true;
  auto session = trace::start(lab.self(), what).or_exit();
  lab.next<trace::started>();
  lab.here->send(caller, Poke(21));
  const value call = lab.next<trace::event>("call").what;
  const value back = lab.next<trace::event>("return").what;
  const value sent = lab.next<trace::event>("send").what;
  EXPECT_EQ(lab.next<Answer>().number, 42);
  EXPECT_EQ(call.text_at("kind"), "call");
  EXPECT_EQ(*call.find("arguments"), list_of({21}));
  EXPECT_EQ(back.text_at("kind"), "return");
  EXPECT_EQ(*back.find("result"), value(42));
  EXPECT_EQ(sent.text_at("kind"), "send");
  EXPECT_EQ(*sent.find("to"), value(lab.here->id()));
  trace::format_options utc;
  utc.utc = true;
  EXPECT_EQ(trace::format(call, utc).substr(16), caller.text() + " lab.math.twice(21)");
  EXPECT_EQ(trace::format(back, utc).substr(16), caller.text() + " lab.math.twice/1 --> 42");
  EXPECT_EQ(trace::format(sent, utc).substr(16),
            caller.text() + " " + lab.here->id().text() + " ! {\"lab.answer\", {number = 42}}");
  EXPECT_EQ(trace::format(call, utc).substr(2, 1), ":");
  EXPECT_EQ(trace::format(call, utc).substr(8, 1), ".");
  trace::stop(lab.self(), session);
  EXPECT_EQ(lab.next<trace::done>().events, 3u);
}

TEST(Trace, OtherFunctionsAreNotTold) {
  lab lab;
  const pid caller = lab.here->spawn(calling, lab.here->id());
  trace::spec what;
  what.processes = {caller};
  what.calls = {"lab.other", "lab.math.twice_of", "*.thrice"};
  trace::start(lab.self(), what).or_exit();
  lab.next<trace::started>();
  lab.here->send(caller, Poke(1));
  EXPECT_EQ(lab.next<Answer>().number, 2);
  EXPECT_EQ(trace::stop_all(*lab.node), 1u);
  EXPECT_EQ(lab.next<trace::done>().events, 0u);
}

TEST(Trace, TheCountOfEventsIsABudget) {
  lab lab;
  const pid worker = lab.start();
  trace::spec what = receives(worker);
  what.limit = 3;
  trace::start(lab.self(), what).or_exit();
  lab.next<trace::started>();
  for (int i = 0; i < 50; ++i) lab.here->send(worker, Poke(i));
  for (int i = 0; i < 3; ++i) lab.next<trace::event>();
  const auto done = lab.next<trace::done>();
  EXPECT_EQ(done.reason, "limit");
  EXPECT_EQ(done.events, 3u);
  expect_quiet(lab, worker);
}

TEST(Trace, TheRateTrips) {
  lab lab;
  const pid worker = lab.start();
  trace::spec what = receives(worker);
  what.rate = 5;
  what.rate_time = 1h;
  trace::start(lab.self(), what).or_exit();
  lab.next<trace::started>();
  for (int i = 0; i < 50; ++i) lab.here->send(worker, Poke(i));
  for (int i = 0; i < 5; ++i) lab.next<trace::event>();
  const auto done = lab.next<trace::done>();
  EXPECT_EQ(done.reason, "rate");
  EXPECT_EQ(done.text, "Trace rate limit tripped: more than 5 events in 3600000 ms.");
  expect_quiet(lab, worker);
}

TEST(Trace, BytesAndTimeAreBudgetsToo) {
  lab lab;
  const pid worker = lab.start();
  trace::spec what = receives(worker);
  what.bytes = 3000;
  trace::start(lab.self(), what).or_exit();
  lab.next<trace::started>();
  lab.here->send(worker, Crash(std::string(200'000, 'x')));  // cut to its beginning: 2 KiB
  const pid other = lab.start();
  EXPECT_EQ(lab.next<trace::event>().what.find("truncated")->boolean() != nullptr, true);
  trace::stop_all(*lab.node);
  lab.next<trace::done>();

  what = receives(other);
  what.bytes = 1000;
  trace::start(lab.self(), what).or_exit();
  lab.next<trace::started>();
  lab.here->send(other, Crash(std::string(5'000, 'x')));
  EXPECT_EQ(lab.next<trace::done>().reason, "bytes");

  const pid last = lab.start();
  what = receives(last);
  what.time = 1ms;
  trace::start(lab.self(), what).or_exit();
  lab.next<trace::started>();
  EXPECT_EQ(lab.next<trace::done>().reason, "time");
  expect_quiet(lab, last);
}

TEST(Trace, ASlowReaderLosesAndIsTold) {
  lab lab;
  const pid worker = lab.start();
  trace::spec what = receives(worker);
  what.window = 3;
  auto session = trace::start(lab.self(), what).or_exit();
  lab.next<trace::started>();
  for (int i = 0; i < 10; ++i) lab.here->send(worker, Poke(i));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(lab.next<trace::event>().what.integer_at("seq"), i + 1);
  ASSERT_TRUE(wait_until([&] { return lab.watching->tracing().lost_count() == 7; })) << "the worker goes on meanwhile";
  lab.here->send(session.process, trace::more(3));
  // The acknowledgement has arrived once the session has answered a look inside.
  ASSERT_TRUE(lab.call("troupe.process_info", {value(session.process)}));
  lab.here->send(worker, Poke(99));
  EXPECT_EQ(lab.next<trace::lost>().events, 7u);
  const value seen = lab.next<trace::event>().what;
  EXPECT_EQ(seen.integer_at("seq"), 4);
  EXPECT_NE(seen.find("message")->print().find("99"), std::string::npos);
  trace::stop(lab.self(), session);
  const auto done = lab.next<trace::done>();
  EXPECT_EQ(done.events, 4u);
  EXPECT_EQ(done.lost, 7u);
}

TEST(Trace, ANameIsFollowedToTheNextProcess) {
  lab lab;
  const pid first = lab.start("lab.worker");
  trace::start(lab.self(), receives("lab.work*")).or_exit();
  EXPECT_EQ(lab.next<trace::started>().matched, 1u);
  lab.here->send(first, Poke(1));
  EXPECT_EQ(*lab.next<trace::event>().what.find("pid"), value(first));
  lab.self().exit(first, exit_reason::kill());
  ASSERT_TRUE(wait_until([&] { return !lab.node->whereis("lab.worker"); }));
  const pid second = lab.start("lab.worker");
  lab.here->send(second, Poke(2));
  EXPECT_EQ(*lab.next<trace::event>().what.find("pid"), value(second));
  EXPECT_EQ(trace::stop_all(*lab.node), 1u);
  lab.next<trace::done>();
  expect_quiet(lab, second);
}

TEST(Trace, LifeEventsAndNewProcesses) {
  lab lab;
  trace::spec what;
  what.processes = {"new"};
  what.life = true;
  trace::start(lab.self(), what).or_exit();
  EXPECT_EQ(lab.next<trace::started>().matched, 0u);
  const pid worker = lab.start();
  ASSERT_TRUE(lab.core().register_name(worker, "lab.fresh"));
  const value named = lab.next<trace::event>().what;
  EXPECT_EQ(named.text_at("kind"), "register");
  EXPECT_EQ(named.text_at("as"), "lab.fresh");
  lab.self().exit(worker, exit_reason::shutdown());
  const value ended = lab.next<trace::event>().what;
  EXPECT_EQ(ended.text_at("kind"), "exit");
  EXPECT_EQ(*ended.find("reason"), value("shutdown"));
  EXPECT_EQ(trace::format(ended).substr(16), worker.text() + " exited \"shutdown\"");
}

task<> owns_a_trace(process& self, trace::spec what) {
  trace::start(self, what).or_exit();
  for (;;) co_await self.receive(wait_forever);
}

TEST(Trace, DiesWithItsOwner) {
  lab lab;
  const pid worker = lab.start();
  const pid owner = lab.here->spawn(owns_a_trace, receives(worker));
  ASSERT_TRUE(wait_until([&] { return lab.watching->tracing().covered_count() == 1; }));
  lab.self().exit(owner, exit_reason::kill());
  expect_quiet(lab, worker);
}

TEST(Trace, DiesWithItsOwnProcessAtOnce) {
  lab lab;
  const pid worker = lab.start();
  auto session = trace::start(lab.self(), receives(worker)).or_exit();
  lab.next<trace::started>();
  lab.self().exit(session.process, exit_reason::kill());
  EXPECT_EQ(lab.next<trace::done>().reason, "ended");
  expect_quiet(lab, worker);
}

TEST(Trace, TwoSessionsKnowNothingOfEachOther) {
  lab lab;
  const pid worker = lab.start();
  auto reader = lab.node->make_handle().or_exit();
  trace::spec small = receives(worker);
  small.limit = 1;
  trace::start(lab.self(), small).or_exit();
  auto other = trace::start(reader->self(), receives(worker)).or_exit();
  lab.next<trace::started>();
  for (int i = 0; i < 5; ++i) lab.here->send(worker, Poke(i));
  lab.next<trace::event>();
  EXPECT_EQ(lab.next<trace::done>().events, 1u);
  for (int i = 0; i < 6; ++i) {
    auto got = reader->receive(20s);
    ASSERT_TRUE(got);
    EXPECT_EQ(got->tag(), i == 0 ? "trace.started" : "trace.event");
  }
  EXPECT_EQ(lab.watching->tracing().session_count(), 1u);
  reader->send(other.process, trace::stop_request(true));
  expect_quiet(lab, worker);
}

TEST(Trace, AllIsRefusedWithoutForce) {
  lab lab;
  const pid worker = lab.start();
  EXPECT_EQ(trace::start(lab.self(), receives("all")).error(), errc::not_allowed);
  EXPECT_EQ(trace::start(lab.self(), receives("existing")).error(), errc::not_allowed);
  trace::spec what = receives("all");
  what.force = true;
  auto session = trace::start(lab.self(), what).or_exit();
  EXPECT_GE(session.matched, 1u);
  lab.next<trace::started>();
  lab.here->send(worker, Poke(1));
  EXPECT_EQ(*lab.next<trace::event>().what.find("pid"), value(worker)) << "the reader itself is never traced";
}

TEST(Trace, OfNobodyIsRefusedUnlessItWaits) {
  lab lab;
  const auto refused = trace::start(lab.self(), receives("lab.nobody")).error();
  EXPECT_EQ(refused, errc::noproc);
  EXPECT_NE(refused.text().find("lab.nobody"), std::string::npos) << refused.text();
  EXPECT_EQ(trace::start(lab.self(), receives("lab.nob*")).error(), errc::noproc);
  EXPECT_EQ(trace::matching(lab.self(), receives("lab.nob*")).error(), errc::noproc);
  EXPECT_EQ(lab.call("troupe.info", {}).or_exit().find("trace")->integer_at("sessions"), 0);

  trace::spec waits = receives("lab.nob*");
  waits.wait = true;
  trace::start(lab.self(), waits).or_exit();
  EXPECT_EQ(lab.next<trace::started>().matched, 0u);
  const pid late = lab.start("lab.nobody");
  lab.here->send(late, Poke(1));
  EXPECT_EQ(*lab.next<trace::event>().what.find("pid"), value(late));
  EXPECT_EQ(trace::matching(lab.self(), receives("lab.nob*")).or_exit(), 1u);
}

TEST(Trace, TellsOfPatternsThatNoOfferedFunctionFits) {
  lab lab;
  trace::spec what;
  what.processes = {lab.start()};
  what.calls = {"troupe.*", "nosuch.*", "troupe.inf"};
  trace::start(lab.self(), what).or_exit();
  EXPECT_EQ(lab.next<trace::started>().unoffered, (std::vector<std::string>{"nosuch.*", "troupe.inf"}));
}

TEST(Trace, RefusesWhatMakesNoSense) {
  lab lab;
  const pid worker = lab.start();
  trace::spec nothing;
  nothing.processes = {worker};
  EXPECT_EQ(trace::start(lab.self(), nothing).error(), errc::bad_argument);
  EXPECT_EQ(trace::start(lab.self(), receives("<not a pid>")).error(), errc::bad_argument);
  lab.self().exit(worker, exit_reason::kill());
  ASSERT_TRUE(wait_until([&] { return !lab.node->exists(worker); }));
  EXPECT_EQ(trace::start(lab.self(), receives(worker)).error(), errc::noproc);
  EXPECT_EQ(trace::spec::from(map_of({{"limit", 0}})).error(), errc::bad_argument);
  EXPECT_EQ(trace::spec::from(map_of({{"limitt", 5}})).error(), errc::bad_argument);
  EXPECT_EQ(trace::spec::from(map_of({{"rate", 5}})).error(), errc::bad_argument);
  EXPECT_EQ(trace::spec::from(value("x")).error(), errc::bad_argument);
}

// What tools start on a node is a process like others; only readers and sessions are exempt.
TEST(Trace, AToolsProcessCanBeTraced) {
  lab lab;
  spawn_options how;
  how.name = "lab.shell";
  how.entry = "troupe.lua";
  const pid shell = spawn(*lab.node, std::move(how), calling, lab.here->id()).or_exit();
  trace::spec what = receives("lab.shell");
  what.send = true;
  trace::start(lab.self(), what).or_exit();
  EXPECT_EQ(lab.next<trace::started>().matched, 1u);
  lab.here->send(shell, Poke(4));
  const value got = lab.next<trace::event>("receive").what;
  EXPECT_EQ(got.text_at("kind"), "receive");
  EXPECT_EQ(got.text_at("name"), "lab.shell");
  EXPECT_EQ(lab.next<trace::event>("send").what.text_at("kind"), "send");
  EXPECT_EQ(lab.next<Answer>().number, 8);
}

TEST(Trace, SessionsAndReadersAreNotTraced) {
  lab lab;
  auto reader = lab.node->make_handle().or_exit();
  trace::spec all = receives("all");
  all.force = true;
  auto first = trace::start(lab.self(), all).or_exit();
  lab.next<trace::started>();
  // A later session and its reader are part of tracing from here on.
  const pid worker = lab.start();
  auto second = trace::start(reader->self(), receives(worker)).or_exit();
  lab.here->send(worker, Poke(1));
  ASSERT_TRUE(reader->receive(20s));  // started
  ASSERT_TRUE(reader->receive(20s));  // the event
  reader->send(second.process, trace::more(1));
  lab.here->send(worker, Poke(2));
  ASSERT_TRUE(reader->receive(20s));
  trace::stop(lab.self(), first);
  for (;;) {
    auto got = lab.here->receive(20s);
    ASSERT_TRUE(got);
    if (got->get<trace::done>()) break;
    const auto* told = got->get<trace::event>();
    ASSERT_TRUE(told);
    const value seen = *told->what.find("pid");
    EXPECT_TRUE(seen != value(first.process) && seen != value(second.process) && seen != value(reader->id()) &&
                seen != value(lab.here->id()))
        << told->what.print();
  }
}

TEST(Trace, ASpecIsAValueAndBack) {
  trace::spec what;
  what.processes = {"a", "b*"};
  what.calls = {"m"};
  what.returns = what.life = true;
  what.limit = 7;
  what.rate = 10;
  what.rate_time = 500ms;
  what.time = 90s;
  const auto back = trace::spec::from(what.to_value()).or_exit();
  EXPECT_EQ(back.to_value(), what.to_value());
  EXPECT_EQ(back.rate_time, 500ms);
  EXPECT_EQ(back.time, 90s);
}

TEST(Trace, ToolsUseTheCataloguesProcess) {
  lab lab;
  const pid worker = lab.start("lab.worker");
  const catalogue_entry* entry = lab.node->offers().find("troupe.trace");
  ASSERT_TRUE(entry);
  ASSERT_EQ(entry->what, catalogue_entry::kind::process);
  const value spec =
      map_of({{"processes", list_of({"lab.worker"})}, {"receive", true}, {"limit", 1}, {"to", lab.here->id()}});
  const value arguments = list_of({spec});
  const pid session = lab.here->spawn([entry, arguments](process& self) -> task<> {
    auto running = entry->run(self, arguments);
    auto ended = co_await std::move(running);
    if (!ended) self.exit(exit_reason(ended.error()));
  });
  EXPECT_EQ(lab.next<trace::started>().session, session);
  lab.here->send(worker, Poke(1));
  EXPECT_EQ(lab.next<trace::event>().what.integer_at("seq"), 1);
  EXPECT_EQ(lab.next<trace::done>().reason, "limit");
  expect_quiet(lab, worker);
}

}  // namespace
}  // namespace troupe::test
