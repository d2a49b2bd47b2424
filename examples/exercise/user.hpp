#pragma once
// The simulated user of the calculator: at every tick it pushes a number or applies an operator, at random and without
// looking, so that it crashes the calculator now and then.
#include <cstdint>
#include <string>

#include <troupe/server.hpp>

namespace exercise {

inline constexpr const char* user_name = "exercise.user";

struct Tick {
  using reply = std::string;
  TROUPE_MESSAGE(Tick, "tick")
};

struct User {
  using messages = troupe::handles<Tick>;
  std::uint64_t ticks = 0;
  std::string last;  // what it did last, "push(7) = 7"
  TROUPE_FIELDS(User, ticks, last)

  troupe::task<> init(troupe::process& self);
  troupe::task<std::string> on(troupe::process& self, Tick tick);

 private:
  troupe::task<> push_one(troupe::process& self, double number);
};

// Makes the user act now; answers what it did.
troupe::task<troupe::result<std::string>> tick_now(troupe::process& self);
inline const troupe::function tick{"exercise.user.tick", &tick_now};

void offer_user(troupe::catalogue& offers);

}  // namespace exercise
