#include "calculator.hpp"

namespace exercise {
namespace {

constexpr std::size_t full = 100;

[[noreturn]] void crash(troupe::process& self, const std::string& why) { self.exit(troupe::exit_reason(why.c_str())); }

}  // namespace

double Calculator::on(troupe::process& self, const Push& push) {
  if (stack.size() > full) crash(self, "push refused: stack holds " + std::to_string(stack.size()));
  stack.push_back(push.number);
  return push.number;
}

double Calculator::on(troupe::process& self, const Operator& apply) {
  if (stack.size() < 2) crash(self, "stack holds " + std::to_string(stack.size()) + ", operator needs 2");
  const double right = stack.back();
  stack.pop_back();
  const double left = stack.back();
  stack.pop_back();
  double answer = 0;
  if (apply.op == "+") answer = left + right;
  else if (apply.op == "-") answer = left - right;
  else if (apply.op == "*") answer = left * right;
  else if (apply.op != "/") crash(self, "no operator \"" + apply.op + "\"");
  else if (right == 0) crash(self, "division by zero");
  else answer = left / right;
  stack.push_back(answer);
  return answer;
}

void Calculator::on_other(troupe::process& self, troupe::message& other) {
  crash(self, "no handler accepts " + other.to_value().print(4, 200));
}

troupe::task<troupe::result<double>> push_number(troupe::process& self, double number) {
  auto answer = co_await troupe::call(self, calculator_name, Push(number));
  co_return answer;
}

troupe::task<troupe::result<double>> apply_operator(troupe::process& self, std::string op) {
  auto answer = co_await troupe::call(self, calculator_name, Operator(std::move(op)));
  co_return answer;
}

void offer_calculator(troupe::catalogue& offers) {
  offers.function(push, "push(number): puts a number on the stack, answers it");
  offers.function(apply, "operator(op): + - * / on the top two, answers the result");
}

}  // namespace exercise
