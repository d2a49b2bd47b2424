// Times as people write them.
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include <troupe/config.hpp>

namespace troupe {
namespace {

struct unit {
  std::string_view name;
  std::int64_t ns;
};
// Longest first: print_time takes the first that divides.
constexpr unit units[] = {{"h", 3'600'000'000'000}, {"m", 60'000'000'000}, {"s", 1'000'000'000},
                          {"ms", 1'000'000},        {"us", 1'000},         {"ns", 1}};

constexpr const char* expected = "a time such as \"500ms\" or \"5s\" (units: ns us ms s m h)";

}  // namespace

result<duration> parse_time(std::string_view text) {
  if (text == "0") return duration::zero();
  std::size_t digits = text.find_first_not_of("0123456789.");
  if (text.empty() || digits == 0) return error(errc::bad_argument, expected);
  if (digits == std::string_view::npos) return error(errc::bad_argument, "a unit is missing: " + std::string(expected));
  std::string number(text.substr(0, digits));
  std::string_view name = text.substr(digits);
  char* end = nullptr;
  double amount = std::strtod(number.c_str(), &end);
  if (end != number.c_str() + number.size()) return error(errc::bad_argument, expected);
  for (const unit& u : units) {
    if (u.name != name) continue;
    double ns = amount * static_cast<double>(u.ns);
    if (ns > 9.2e18) return error(errc::bad_argument, "longer than 292 years");
    return duration(static_cast<std::int64_t>(std::llround(ns)));
  }
  return error(errc::bad_argument, "\"" + std::string(name) + "\" is no unit: " + expected);
}

std::string print_time(duration time) {
  if (time == duration::zero()) return "0s";
  for (const unit& u : units) {
    if (time.count() % u.ns == 0) return std::to_string(time.count() / u.ns) + std::string(u.name);
  }
  return std::to_string(time.count()) + "ns";
}

}  // namespace troupe
