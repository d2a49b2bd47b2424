#pragma once
// What a program hands to `troupe::run`: a name, what its node offers, its configuration's keys, and the root of its
// supervision tree.
//     int main(int argc, char** argv) {
//       troupe::application images{.name = "images", .offers = image_functions(), .start = image_app};
//       return troupe::run(argc, argv, std::move(images));
//     }
#include <functional>
#include <string>

#include <troupe/catalogue.hpp>
#include <troupe/config.hpp>
#include <troupe/supervisor.hpp>

namespace troupe {

// Makes the tree's description when the node runs: from `supervisor f()` or `supervisor f(node&)`, which may read the
// node's configuration. Empty: an application without processes.
class application_start {
 public:
  application_start() = default;
  template <class F>
    requires(!std::same_as<std::remove_cvref_t<F>, application_start> &&
             (std::invocable<F&> || std::invocable<F&, node&>))
  application_start(F make) {
    if constexpr (std::invocable<F&, node&>) plan_ = std::move(make);
    else plan_ = [make = std::move(make)](node&) mutable { return make(); };
  }
  [[nodiscard]] explicit operator bool() const noexcept { return static_cast<bool>(plan_); }
  [[nodiscard]] supervisor operator()(node& where) const { return plan_(where); }

 private:
  std::function<supervisor(node&)> plan_;
};

struct application {
  std::string name;
  std::string version;  // what `troupe info` shows
  catalogue offers;
  config_schema config;
  application_start start;
};

// Starts the application's root supervisor on a node that runs, and has node::stop end it: applications started one
// after the other are stopped in reverse. `ok` without a pid for one without processes. What its start function throws
// is `failed`, with the reason. Never inside a process.
[[nodiscard]] started start_application(node& where, const application& app);

}  // namespace troupe
