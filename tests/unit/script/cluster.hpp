#pragma once
// Two nodes of one OS process, joined by the inproc transport, with a console on the first.
#include "shell.hpp"

#include "unit/dist/fixture.hpp"

namespace troupe::test {

class LuaCluster : public cluster_fixture {
 protected:
  void SetUp() override {
    one_ = begin("one@test");
    two_ = begin("two@test");
    console_.emplace(*one_.machine);
  }
  void TearDown() override {
    console_.reset();
    one_.end();
    two_.end();
  }
  member begin(const std::string& name) {
    member_options options;
    options.offers = offers();
    offer_script(options.offers);
    internal::offer_system_functions(options.offers);
    return start(name, std::move(options));
  }
  virtual catalogue offers() { return {}; }
  std::string eval(const std::string& source) { return console_->eval(source); }

  member one_, two_;
  std::optional<console> console_;
};

}  // namespace troupe::test
