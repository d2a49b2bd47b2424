// The example does what its README says: each handler, each crash and its reason, and restarts that go on and on.
#include "calculator.hpp"
#include "tree.hpp"
#include "user.hpp"

#include <gtest/gtest.h>

#include "support/wait.hpp"

namespace exercise {
namespace {

using namespace std::chrono_literals;
using troupe::test::wait_until;

class Exercise : public ::testing::Test {
 protected:
  Exercise() {
    troupe::node_options options;
    options.workers = 2;
    node = troupe::node::start(std::move(options)).or_exit();
    here = node->make_handle().or_exit();
  }
  ~Exercise() override {
    here.reset();
    EXPECT_TRUE(node->stop(20s));
  }
  troupe::result<double> press(double number) { return here->call(calculator_name, Push(number)); }
  troupe::result<double> press(std::string op) { return here->call(calculator_name, Operator(std::move(op))); }
  // The reason that the caller of a crashing request hears.
  static std::string reason(const troupe::result<double>& given) {
    return given ? "answered " + std::to_string(*given) : given.error().text();
  }
  void start_calculator() { (void)troupe::start_server<Calculator>(*node, {.name = calculator_name}).or_exit(); }

  std::unique_ptr<troupe::node> node;
  std::unique_ptr<troupe::handle> here;
};

TEST_F(Exercise, RightOperandComesFirstFromTheStack) {
  start_calculator();
  EXPECT_EQ(press(7), 7);
  EXPECT_EQ(press(2), 2);
  EXPECT_EQ(press("-"), 5);
  EXPECT_EQ(press(2), 2);
  EXPECT_EQ(press("/"), 2.5);
  EXPECT_EQ(press(4), 4);
  EXPECT_EQ(press("*"), 10);
  EXPECT_EQ(press(1), 1);
  EXPECT_EQ(press("+"), 11);
  EXPECT_EQ(here->call(calculator_name, troupe::sys_get_state())->print(), "{stack = {11.0}}");
}

TEST_F(Exercise, EveryCrashSaysWhy) {
  start_calculator();
  EXPECT_EQ(reason(press("+")), "\"stack holds 0, operator needs 2\"");
  start_calculator();
  (void)press(1);
  EXPECT_EQ(reason(press("+")), "\"stack holds 1, operator needs 2\"");
  start_calculator();
  (void)press(1);
  (void)press(0);
  EXPECT_EQ(reason(press("/")), "\"division by zero\"");
  start_calculator();
  (void)press(1);
  (void)press(1);
  EXPECT_NE(reason(press("%")).find("no operator"), std::string::npos);
  start_calculator();
  for (int i = 0; i < 101; ++i) ASSERT_EQ(press(i), i);
  EXPECT_EQ(reason(press(1)), "\"push refused: stack holds 101\"");
  start_calculator();
  auto unknown = here->call(calculator_name, troupe::value("hello"));
  ASSERT_FALSE(unknown);
  EXPECT_NE(unknown.error().text().find("no handler accepts"), std::string::npos) << unknown.error().text();
}

TEST_F(Exercise, OffersItsFunctions) {
  troupe::application app = program();
  for (const char* name : {"exercise.calculator.push", "exercise.calculator.operator", "exercise.user.tick"}) {
    EXPECT_TRUE(app.offers.find(name)) << name;
  }
  EXPECT_TRUE(app.config.find("exercise.tick"));
}

TEST_F(Exercise, CrashesAndRestartsForEver) {
  troupe::config_loader loader(program().config);
  loader.assignment("exercise.tick=1ms");
  troupe::attach_config(*node, loader.finish().or_exit());
  auto root = troupe::start_application(*node, program());
  ASSERT_TRUE(root) << root.text();
  auto pid_of = [&](const char* name) { return node->whereis(name).value_or(troupe::pid()); };
  for (int crashes = 0; crashes < 10; ++crashes) {
    const troupe::pid calculator = pid_of(calculator_name), user = pid_of(user_name);
    ASSERT_TRUE(wait_until([&] { return pid_of(calculator_name) && pid_of(calculator_name) != calculator; }));
    ASSERT_TRUE(wait_until([&] { return pid_of(user_name) && pid_of(user_name) != user; }));
  }
  EXPECT_EQ(pid_of("exercise.supervisor"), root.process());
}

}  // namespace
}  // namespace exercise
