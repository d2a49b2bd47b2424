#pragma once
// This program as the node `observer` among samples that are programs of their own.
#include <memory>
#include <string>
#include <vector>

#include <troupe/handle.hpp>
#include <troupe/node.hpp>

#include "tools_support.hpp"

namespace troupe::test {

class ObserverTest : public ToolTest {
 protected:
  explicit ObserverTest(std::chrono::milliseconds tick = limits().tick) : tick_(tick) {}
  void SetUp() override {
    ToolTest::SetUp();
    if (IsSkipped()) return;
    node_options options;
    options.name = "observer";
    options.cookie = cookie;
    options.run_directory = run_.str();
    options.workers = 2;
    options.wire.tick = tick_;
    prepare(options);
    here_ = node::start(std::move(options)).or_exit();
    door_ = here_->make_handle().or_exit();
  }
  // What else of this program's node a suite wants.
  virtual void prepare(node_options& options) { static_cast<void>(options); }
  std::unique_ptr<program> start_node(const std::string& name, std::vector<std::string> more = {}) {
    std::vector<std::string> words{sample_path(), "--name", name};
    words.insert(words.end(), more.begin(), more.end());
    program_options how = environment();
    how.environment["TROUPE_COOKIE"] = cookie;
    return std::make_unique<program>(words, how);
  }

  static constexpr const char* cookie = "a-cookie-for-these-tests";
  std::unique_ptr<node> here_;
  std::unique_ptr<handle> door_;

 private:
  std::chrono::milliseconds tick_;
};

}  // namespace troupe::test
