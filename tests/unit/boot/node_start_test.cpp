// A node made by hand, with all its layers.
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <iterator>
#include <mutex>

#include <troupe/config.hpp>
#include <troupe/global.hpp>
#include <troupe/io.hpp>
#include <troupe/node.hpp>

#include "observe/log_writer.hpp"
#include "support/temp_dir.hpp"
#include "support/threads.hpp"
#include "support/wait.hpp"

namespace {

using namespace troupe;
using namespace std::chrono_literals;

class kept_lines final : public log_sink {
 public:
  [[nodiscard]] bool enabled(log_level) const noexcept override { return true; }
  void log(log_level, std::string_view text, map) noexcept override {
    std::lock_guard guard(mutex_);
    lines_.emplace_back(text);
  }
  bool has(std::string_view text) {
    std::lock_guard guard(mutex_);
    return std::find(lines_.begin(), lines_.end(), text) != lines_.end();
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> lines_;
};

class NodeStart : public testing::Test {
 protected:
  node_options named(std::string name = "one") const {
    node_options how;
    how.name = std::move(name);
    how.run_directory = run_.path();
    how.workers = 1;
    return how;
  }
  test::temp_dir run_;
};

TEST_F(NodeStart, WithoutANameNobodyCanConnect) {
  auto made = node::start({});
  ASSERT_TRUE(made) << made.error().message();
  EXPECT_FALSE((*made)->alive());
  EXPECT_EQ((*made)->name(), nonode);
  EXPECT_TRUE((*made)->whereis("user"));
  EXPECT_TRUE((*made)->stop(5s));
  EXPECT_TRUE((*made)->stop(5s));
}

TEST_F(NodeStart, ANameIsHeldByOneNode) {
  auto first = node::start(named());
  ASSERT_TRUE(first) << first.error().message();
  EXPECT_EQ((*first)->name(), "one@localhost");
  auto second = node::start(named());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), errc::name_taken);
  EXPECT_NE(second.error().text().find(std::to_string(getpid())), std::string::npos) << second.error().text();
  first->reset();
  auto third = node::start(named());
  EXPECT_TRUE(third) << third.error().message();
}

TEST_F(NodeStart, WhatIsAdvertisedMustBeDialable) {
  const auto failure = [this](std::vector<std::string> advertise, std::vector<std::string> listen) {
    node_options how = named();
    how.cookie = "a-cookie-of-this-test";
    how.listen = std::move(listen);
    how.advertise = std::move(advertise);
    auto made = node::start(std::move(how));
    return made ? error() : made.error();
  };
  const std::vector<std::string> loopback{"tcp://127.0.0.1:*"};
  struct {
    const char* what;
    const char* why;
  } const refused[] = {{"tcp://0.0.0.0:4370", "every host's own"},
                       {"tcp://[::]:4370", "every host's own"},
                       {"tcp://*:4370", "every host's own"},
                       {"tcp://0:4370", "every host's own"},
                       {"tcp://hosta:*", "the port must be the one"},
                       {"ipc:///tmp/x", "tcp://HOST:PORT alone"},
                       {"hosta:4370", "it begins with"},
                       {"tcp://hosta", "a port is missing"}};
  for (const auto& [what, why] : refused) {
    const error got = failure({"tcp://hosta:4370", what}, loopback);
    EXPECT_EQ(got.code(), errc::bad_config) << what;
    EXPECT_NE(got.text().find("node.advertise \"" + std::string(what) + "\": "), std::string::npos) << got.text();
    EXPECT_NE(got.text().find(why), std::string::npos) << got.text();
  }
  EXPECT_NE(failure({"tcp://hosta:4370"}, {}).text().find("node.listen"), std::string::npos);
  EXPECT_EQ(failure(std::vector<std::string>(9, "tcp://hosta:4370"), loopback).code(), errc::bad_config);
  EXPECT_EQ(failure({"tcp://hosta:4370", "tcp://[fd00::1]:4370"}, loopback).code(), errc::none);
}

TEST_F(NodeStart, SystemFunctionsAreThereAndTheirNamesReserved) {
  auto made = node::start(named());
  ASSERT_TRUE(made);
  for (const char* name :
       {"troupe.ps", "troupe.info", "troupe.trace", "troupe.lua", "troupe.config", "troupe.config_set"}) {
    EXPECT_TRUE((*made)->offers().find(name)) << name;
  }
  node_options how = named("two");
  how.offers.function("troupe.mine", [](std::int64_t n) { return n; });
  EXPECT_EQ(node::start(std::move(how)).error().code(), errc::bad_name);
}

TEST_F(NodeStart, BadOptions) {
  EXPECT_EQ(node::start(named("not a name")).error().code(), errc::bad_name);
  node_options open = named();
  open.listen = {"tcp://0.0.0.0:0"};
  EXPECT_EQ(node::start(std::move(open)).error().code(), errc::not_allowed);
  node_options nonsense = named();
  nonsense.listen = {"nonsense"};
  EXPECT_EQ(node::start(std::move(nonsense)).error().code(), errc::bad_config);
  node_options blank = named();
  blank.cookie = "two words";
  EXPECT_EQ(node::start(std::move(blank)).error().code(), errc::bad_argument);
  node_options tool = named();
  tool.tool = true;
  tool.listen = {"tcp://127.0.0.1:0"};
  EXPECT_EQ(node::start(std::move(tool)).error().code(), errc::not_allowed);
  EXPECT_TRUE(node::start(named()));  // none of them has kept the name
}

TEST_F(NodeStart, AGlobThatCanMatchNoNodeIsAMistake) {
  for (const char* glob : {"[\"bad@*\"]", " b@*", "bad", "a,b@*", "", "a@b@c", "b@ö"}) {
    for (const bool deny : {false, true}) {
      node_options options;
      (deny ? options.deny_nodes : options.allow_nodes) = {"good@*", glob};
      auto got = node::start(std::move(options));
      ASSERT_FALSE(got) << glob;
      EXPECT_EQ(got.error(), errc::bad_config) << glob;
      EXPECT_NE(got.error().text().find("can match no node"), std::string::npos) << got.error().text();
    }
  }
  for (const char* glob : {"*", "b@*", "b?host", "[a-c]*@host", "b-1_2@ho.st", "[!x]@h"}) {
    node_options options;
    options.deny_nodes = {glob};
    EXPECT_TRUE(node::start(std::move(options))) << glob;
  }
}

TEST_F(NodeStart, WhatIsPrintedGoesToTheLog) {
  auto lines = std::make_shared<kept_lines>();
  node_options how;
  how.log = lines;
  auto made = node::start(std::move(how));
  ASSERT_TRUE(made);
  ASSERT_TRUE(spawn(**made, [](process& self) -> task<> {
    self.print("hello");
    co_return;
  }));
  EXPECT_TRUE(test::wait_until([&] { return lines->has("hello"); }));
}

TEST_F(NodeStart, ProcessesReadTheConfiguration) {
  auto made = node::start({});
  ASSERT_TRUE(made);
  EXPECT_EQ(config(**made).get<int>("a.b").error().code(), errc::not_found);
  config_schema keys;
  keys.integer("a.b", 5, "a number");
  config_loader loader(std::move(keys));
  attach_config(**made, loader.assignment("a.b=7").finish().value());
  auto hand = (*made)->make_handle();
  ASSERT_TRUE(hand);
  auto got = (*hand)->run(5s, [](process& self) -> task<int> { co_return config(self).get<int>("a.b").or_exit(); });
  ASSERT_TRUE(got) << got.error().message();
  EXPECT_EQ(*got, 7);
  hand->reset();
}

TEST_F(NodeStart, ConfigSetTakesValuesAndRefusesWhatIsReadAtStart) {
  internal::log_config quiet;
  quiet.console = internal::log_config::form::none;
  auto writer = std::make_shared<internal::log_writer>(std::move(quiet));
  node_options how;
  how.log = writer;
  auto made = node::start(std::move(how));
  ASSERT_TRUE(made);
  config_schema keys = node_config_schema();
  keys.texts("app.words", {"one"}, "words");
  keys.integer("app.count", 1, "a count").between(0, 9);
  keys.time("app.tick", 1s, "a time");
  keys.boolean("app.loud", false, "a flag");
  attach_config(**made, config_loader(std::move(keys)).finish().value());
  auto hand = (*made)->make_handle().or_exit();
  const catalogue_entry* entry = (*made)->offers().find("troupe.config_set");
  ASSERT_TRUE(entry);
  auto set = [&](std::string key, value given) -> std::string {
    const value arguments = list_of({std::move(key), std::move(given)});
    auto done = hand->run(5s, [&](process& self) -> task<std::string> {
      auto running = entry->run(self, arguments);
      auto told = co_await std::move(running);
      co_return told ? "ok" : told.error().message();
    });
    return done ? *done : done.error().message();
  };
  const config values(**made);
  EXPECT_EQ(set("app.words", list_of({"a, b", "c"})), "ok");
  EXPECT_EQ(values.get<std::vector<std::string>>("app.words").value(), (std::vector<std::string>{"a, b", "c"}));
  EXPECT_EQ(set("app.words", "d,e"), "ok");  // as on the command line
  EXPECT_EQ(values.get<std::vector<std::string>>("app.words").value(), (std::vector<std::string>{"d", "e"}));
  EXPECT_EQ(set("app.count", 5), "ok");
  EXPECT_EQ(values.get<int>("app.count").value(), 5);
  EXPECT_NE(set("app.count", 50), "ok");
  EXPECT_EQ(set("app.loud", true), "ok");
  EXPECT_TRUE(values.get<bool>("app.loud").value());
  EXPECT_EQ(set("app.tick", "5ms"), "ok");
  EXPECT_EQ(values.get<duration>("app.tick").value(), 5ms);
  EXPECT_TRUE(set("app.tick", 5).starts_with("bad_config: app.tick")) << set("app.tick", 5);
  EXPECT_TRUE(set("app.wrods", 5).starts_with("not_found")) << set("app.wrods", 5);
  EXPECT_TRUE(set("node.workers", 2).starts_with("not_allowed: node.workers is read when the node starts"));
  EXPECT_TRUE(set("log.file", "x").starts_with("not_allowed"));
  EXPECT_EQ(values.get<unsigned>("node.workers").value(), 0u);
  ASSERT_NE(writer->level(), log_level::debug);
  EXPECT_EQ(set("log.level", "debug"), "ok");
  EXPECT_EQ(writer->level(), log_level::debug);
  EXPECT_NE(set("log.level", "loud"), "ok");
  EXPECT_EQ(writer->level(), log_level::debug);
  hand.reset();
}

// What the other says first must not come before anybody here listens, nor the start return before it has been heard.
TEST_F(NodeStart, KnowsTheNamesOfWhomItWaitsFor) {
  node_options how = named("one");
  how.cookie = "a-cookie-for-these-tests";
  auto first = node::start(how);
  ASSERT_TRUE(first) << first.error().message();
  auto hand = (*first)->make_handle();
  ASSERT_TRUE(hand);
  auto taken = (*hand)->run(5s, [who = (*hand)->id()](process& self) -> task<bool> {
    auto registered = co_await global::register_name(self, "first", who);
    co_return static_cast<bool>(registered);
  });
  ASSERT_TRUE(taken && *taken);
  how.name = "two";
  how.wait_for = {"one"};
  for (int life = 0; life < 20; ++life) {
    auto second = node::start(how);
    ASSERT_TRUE(second) << second.error().message();
    ASSERT_EQ(global::registered_names(**second).size(), 1u) << life;
    EXPECT_TRUE((*second)->stop(5s));
  }
  // Of those who are there, also when others are not.
  how.wait_for = {"one", "nobody"};
  how.wait_within = 50ms;
  how.wait_optional = true;
  auto third = node::start(how);
  ASSERT_TRUE(third) << third.error().message();
  EXPECT_EQ(global::registered_names(**third).size(), 1u);
  hand->reset();
}

TEST_F(NodeStart, UserAnswersWhenAllIsWritten) {
  auto made = node::start({});
  ASSERT_TRUE(made);
  auto hand = (*made)->make_handle();
  ASSERT_TRUE(hand);
  EXPECT_TRUE((*hand)->call<void>("user", io_sync(), 5s));
  hand->reset();
}

#ifndef TROUPE_SANITIZED
TEST_F(NodeStart, AThreadThatDoesNotStartIsAnError) {
  auto descriptors = [] {
    const std::filesystem::directory_iterator all("/proc/self/fd");
    return std::distance(begin(all), end(all));
  };
  auto mask = [] {
    sigset_t set;
    pthread_sigmask(SIG_SETMASK, nullptr, &set);
    std::string out;
    for (int signal = 1; signal < 32; ++signal) out += sigismember(&set, signal) == 1 ? '1' : '0';
    return out;
  };
  ASSERT_TRUE(node::start(named("one")));  // what is opened once for the process is open now
  const auto open_before = descriptors();
  const std::string mask_before = mask();
  int failed = 0;
  for (;; ++failed) {
    ASSERT_LT(failed, 100);
    result<std::unique_ptr<node>> made = [&] {
      const test::threads_left few(failed);
      return node::start(named("one"));
    }();
    if (made) break;
    EXPECT_EQ(made.error(), errc::system_limit) << made.error().message();
    EXPECT_EQ(descriptors(), open_before) << failed;
    EXPECT_EQ(mask(), mask_before) << failed;
  }
  EXPECT_GE(failed, 4) << "the watch, the lane, a worker, the bus's loop";
}
#endif

}  // namespace
