#pragma once
// A run directory of its own, the sample node in it, and the tool aimed at it.
#include <gtest/gtest.h>
#include <signal.h>

#include <memory>
#include <string>
#include <vector>

#include "support/paths.hpp"
#include "support/program.hpp"
#include "support/temp_dir.hpp"
#include "support/wait.hpp"

namespace troupe::test {

inline std::string sample_path() { return build_dir() + "/bin/sample_node"; }

class ToolTest : public testing::Test {
 protected:
  void SetUp() override {
    if (tool_path().empty()) GTEST_SKIP() << "this build has no troupe tool";
  }

  program_options environment(std::string input = {}) const {
    program_options how;
    how.environment["TROUPE_RUN_DIR"] = run_.str();
    how.environment["HOME"] = home_.str();
    how.environment["TROUPE_COOKIE"] = std::nullopt;
    how.environment["NOTIFY_SOCKET"] = std::nullopt;
    how.directory = home_.str();
    how.input = std::move(input);
    return how;
  }
  // The sample, ready.
  std::unique_ptr<program> start_sample(std::vector<std::string> words = {}) const {
    words.insert(words.begin(), sample_path());
    auto made = std::make_unique<program>(words, environment());
    EXPECT_TRUE(made->wait_output("ready")) << made->out() << made->err();
    return made;
  }
  outcome tool(std::vector<std::string> words, std::string input = {}) const {
    words.insert(words.begin(), tool_path());
    return run_program(words, environment(std::move(input)));
  }
  std::unique_ptr<program> tool_in_background(std::vector<std::string> words) const {
    words.insert(words.begin(), tool_path());
    return std::make_unique<program>(words, environment());
  }

  temp_dir run_, home_;
};

}  // namespace troupe::test
