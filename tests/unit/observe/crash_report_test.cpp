#include "lab.hpp"

namespace troupe::test {
namespace {

const memory_log::line* find_crash(const std::vector<memory_log::line>& lines) {
  for (const auto& line : lines) {
    for (const auto& [key, item] : line.fields) {
      if (key == value("report") && item == value("crash")) return &line;
    }
  }
  return nullptr;
}

TEST(CrashReport, SaysWhoWhyAndWhoWasThere) {
  auto log = std::make_shared<memory_log>();
  lab lab(log);
  const pid victim = lab.start("lab.victim");
  lab.self().monitor(victim);
  lab.here->send(victim, Crash("no more"));
  ASSERT_EQ(lab.next<down>().process, victim);
  const auto lines = log->lines();
  const auto* report = find_crash(lines);
  ASSERT_TRUE(report);
  EXPECT_EQ(report->level, log_level::error);
  EXPECT_NE(report->message.find("lab.victim"), std::string::npos);
  EXPECT_NE(report->message.find("no more"), std::string::npos);
  const value fields(report->fields);
  EXPECT_EQ(*fields.find("pid"), value(victim));
  EXPECT_EQ(fields.text_at("name"), "lab.victim");
  EXPECT_EQ(fields.text_at("entry"), "lab.worker");
  EXPECT_NE(fields.find("reason")->print().find("std::runtime_error"), std::string::npos)
      << fields.find("reason")->print();
  EXPECT_EQ(*fields.find("monitored_by"), list_of({lab.here->id()}));
  EXPECT_EQ(lab.watching->crash_reports(), 1u);
}

TEST(CrashReport, PlannedEndsAndKillsAreNone) {
  auto log = std::make_shared<memory_log>();
  lab lab(log);
  for (const char* reason : {"normal", "shutdown", "kill"}) {
    const pid victim = lab.start();
    lab.self().monitor(victim);
    lab.self().exit(victim, exit_reason(reason));
    if (std::string_view(reason) == "normal") lab.self().exit(victim, exit_reason::shutdown());
    lab.next<down>(reason);
  }
  EXPECT_FALSE(find_crash(log->lines()));
}

TEST(CrashReport, AnEndByASignalIsOnlyInformation) {
  auto log = std::make_shared<memory_log>();
  lab lab(log);
  const pid victim = lab.start();
  lab.settle(victim);
  lab.self().monitor(victim);
  lab.self().exit(victim, exit_reason("boom"));
  lab.next<down>();
  const auto lines = log->lines();
  const auto* report = find_crash(lines);
  ASSERT_TRUE(report);
  EXPECT_EQ(report->level, log_level::info);
}

}  // namespace
}  // namespace troupe::test
