#pragma once
// A calculator in reverse Polish notation: a server with a stack. `push` numbers, then let an `operator` take the top
// two.
#include <string>
#include <vector>

#include <troupe/server.hpp>

namespace exercise {

inline constexpr const char* calculator_name = "exercise.calculator";

struct Push {
  double number = 0;
  using reply = double;
  TROUPE_MESSAGE(Push, "push", number)
};

struct Operator {
  std::string op;  // one of + - * /
  using reply = double;
  TROUPE_MESSAGE(Operator, "operator", op)
};

struct Calculator {
  using messages = troupe::handles<Push, Operator>;
  std::vector<double> stack;
  TROUPE_FIELDS(Calculator, stack)  // what `troupe state` shows

  double on(troupe::process& self, const Push& push);
  double on(troupe::process& self, const Operator& apply);
  void on_other(troupe::process& self, troupe::message& other);
};

// What others call. Through these names a call can be traced: `push` and `apply` ask the server registered as
// exercise.calculator and give its answer, or why there is none.
troupe::task<troupe::result<double>> push_number(troupe::process& self, double number);
troupe::task<troupe::result<double>> apply_operator(troupe::process& self, std::string op);

inline const troupe::function push{"exercise.calculator.push", &push_number};
inline const troupe::function apply{"exercise.calculator.operator", &apply_operator};

void offer_calculator(troupe::catalogue& offers);

}  // namespace exercise
