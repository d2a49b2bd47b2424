#include "tree.hpp"

#include "calculator.hpp"
#include "user.hpp"

namespace exercise {

using namespace std::chrono_literals;

troupe::supervisor tree() {
  // Every crash costs two restarts, the calculator's and its user's, and somebody may want to watch it at a tick of 1
  // ms.
  return troupe::supervise("exercise.supervisor")
      .strategy(troupe::one_for_one)
      .at_most(1000, 1s)
      .server<Calculator>(calculator_name)
      .server<User>(user_name);
}

troupe::application program() {
  troupe::application app{.name = "exercise", .version = "1.0.0", .start = tree};
  offer_calculator(app.offers);
  offer_user(app.offers);
  app.config.time("exercise.tick", 500ms, "how often the simulated user acts").between(1ms, 1h);
  return app;
}

}  // namespace exercise
