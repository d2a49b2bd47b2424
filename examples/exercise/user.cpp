#include "user.hpp"

#include <array>

#include <troupe/config.hpp>

#include "calculator.hpp"

namespace exercise {
namespace {

std::string shown(double number) { return troupe::value(number).print(); }

}  // namespace

troupe::task<> User::init(troupe::process& self) {
  for (int i = 0; i < 2; ++i) {
    auto pushing = push_one(self, 1);
    co_await std::move(pushing);
  }
  const auto period = troupe::config(self).get<troupe::duration>("exercise.tick").or_exit();
  self.send_interval(period, self.id(), Tick());
}

troupe::task<std::string> User::on(troupe::process& self, Tick) {
  static constexpr std::array<const char*, 4> operators{"+", "-", "*", "/"};
  troupe::random_source& random = self.node().random();
  ++ticks;
  if (random.below(4) < 3) {
    auto pushing = push_one(self, static_cast<double>(random.below(11)));
    co_await std::move(pushing);
  } else {
    const std::string op = operators[random.below(4)];
    auto applied = co_await apply(self, op);
    // A call that fails ends the caller, as in OTP: the supervisor starts both anew.
    last = "operator(\"" + op + "\") = " + shown(applied.or_exit());
  }
  co_return last;
}

troupe::task<> User::push_one(troupe::process& self, double number) {
  auto pushed = co_await push(self, number);
  last = "push(" + shown(number) + ") = " + shown(pushed.or_exit());
}

troupe::task<troupe::result<std::string>> tick_now(troupe::process& self) {
  auto answer = co_await troupe::call(self, user_name, Tick());
  co_return answer;
}

void offer_user(troupe::catalogue& offers) {
  offers.function(tick, "tick(): makes the user act now, answers what it did");
}

}  // namespace exercise
