// A broken invariant ends the program with place, values and who ran; one that holds costs nothing to look at.
#include <troupe/expect.hpp>

#include <gtest/gtest.h>

#include "life_table.hpp"
#include "unit/bus/hub_fixture.hpp"

namespace troupe {
namespace {

enum class phase : std::uint8_t { asleep = 3 };

TEST(Expect, EvaluatesTheConditionOnceAndItsValuesNever) {
  int looks = 0, shown = 0;
  TROUPE_EXPECT(++looks == 1, "shown", ++shown);
  TROUPE_EXPECT(looks == 1);
  EXPECT_EQ(looks, 1);
  EXPECT_EQ(shown, 0);
}

TEST(ExpectDeathTest, SaysConditionPlaceAndValues) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const std::string name = "apples";
  EXPECT_DEATH(TROUPE_EXPECT(name.empty(), "name", name, "size", name.size(), "found", false, "phase", phase::asleep),
               "broken invariant: name.empty\\(\\)\n"
               "  at .*expect_test\\.cpp:[0-9]+ in .*\n"
               "  with name = \"apples\", size = 6, found = false, phase = 3\n"
               "This is a bug of Troupe");
}

TEST(ExpectDeathTest, SaysWhoRan) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  detail::set_who_runs([]() -> std::string { return "process <n@h#1.2> (Counter) of node n@h"; });
  EXPECT_DEATH(TROUPE_EXPECT(1 + 1 == 3), "  in process <n@h#1.2> \\(Counter\\) of node n@h\n");
  detail::set_who_runs(nullptr);
}

// Names come from peers, and standard error is a terminal.
TEST(ExpectDeathTest, EscapesAndCutsText) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const std::string name = "a\x1b[31m" + std::string(1000, 'x');
  EXPECT_DEATH(TROUPE_EXPECT(name.empty(), "name", name), "with name = \"a[^\x1b]*31mx{40,80}…");
}

// -- what the bus expects of itself, where it can be broken from outside

TEST(ExpectDeathTest, ALoopsTimersBelongToItsThread) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto loop = bus::make_loop();
  EXPECT_DEATH(loop->at(loop->now(), [] {}), "broken invariant: inside\\(\\)\n  at .*system_loop\\.hpp");
  EXPECT_DEATH(loop->cancel(7), "broken invariant: inside\\(\\)\n.*\n  with timer = 7\n");
}

TEST(ExpectDeathTest, AHubIsNotStoppedByTheThreadThatStopsIt) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  struct silent final : bus::hub_events {
    void up(const bus::peer_info&) override {}
    void frame(bus::connection_id, std::span<const std::byte>) override {}
    void down(bus::connection_id, const error&) override {}
    void dial_failed(bus::dial_id, const error&) override {}
  } events;
  const auto loop = bus::make_loop();
  bus::hub_options options;
  options.self = {.name = "a@h", .creation = 1};
  options.transport = bus::inproc_transport(*loop, bus::make_inproc_network());
  const auto hub = bus::hub::make(std::move(options), events).or_exit();
  EXPECT_DEATH(loop->run([&] { hub->stop(std::chrono::milliseconds(100)); }), "with hub = \"a@h\"\n");
}

TEST(ExpectDeathTest, ALifeIsReleasedAsOftenAsItWasHeld) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  internal::life_table lives(3);
  const node_life* held = lives.intern("a@h", 9, true).value();
  lives.release(held);
  EXPECT_DEATH(lives.release(held), "broken invariant: each->held > 0\n.*\n  with life = \"a@h\", creation = 9\n");
}

}  // namespace
}  // namespace troupe
