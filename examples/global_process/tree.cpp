#include "tree.hpp"

#include <troupe/cluster.hpp>
#include <troupe/global.hpp>
#include <troupe/node.hpp>

namespace global_process {
namespace {

constexpr const char* supervisor_name = "MySupervisor";
constexpr const char* process_name = "AGlobalProcess";

// On which node are you?
struct Where {
  using reply = std::string;
  TROUPE_MESSAGE(Where, "where")
};

struct AGlobalProcess {
  using messages = troupe::handles<Where>;
  void init(troupe::process& self) { self.print("Starting " + self.id().text() + "...\n"); }
  std::string on(troupe::process& self, const Where&) { return self.node().name(); }
};

// The name decides: whoever has it already, here or elsewhere, is told of by the start, and this one is not needed.
troupe::task<troupe::started> start_global(troupe::process& up) {
  up.print("Attempting a start on " + up.node().name() + "...\n");
  troupe::server_options options;
  options.name = troupe::global::name(process_name);
  auto outcome = co_await troupe::start_link<AGlobalProcess>(up, options);
  if (outcome.what() != troupe::started::kind::already_started) co_return outcome;
  up.print("Ignored.\n");
  co_return troupe::started::ignore();
}

struct NodeMonitor {
  using messages = troupe::handles<>;

  void init(troupe::process& self) { troupe::monitor_nodes(self, true); }

  // {"nodeup", name, …} and {"nodedown", name, …}. By the time that a nodedown comes, the names of that node are free.
  troupe::task<> on_other(troupe::process& self, troupe::message& event) { return react(self, event.tag()); }

 private:
  static troupe::task<> react(troupe::process& self, std::string what) {
    auto before = show(self);
    co_await std::move(before);
    if (what != "nodedown") co_return;
    auto restarted = co_await troupe::restart_child(self, supervisor_name, process_name);
    if (!restarted && restarted.error() != troupe::errc::running) self.print(restarted.error().message() + "\n");
    auto after = show(self);
    co_await std::move(after);
  }

  static troupe::task<> show(troupe::process& self) {
    auto children = co_await troupe::which_children(self, supervisor_name);
    if (children) self.print(troupe::to_value(*children).print() + "\n");
  }
};

troupe::task<troupe::result<std::string>> where(troupe::process& self) {
  auto answer = co_await troupe::call(self, troupe::global::name(process_name), Where());
  co_return answer;
}

}  // namespace

troupe::supervisor tree() {
  return troupe::supervise(supervisor_name)
      .strategy(troupe::one_for_one)
      .child(process_name, start_global)
      .server<NodeMonitor>("NodeMonitor");
}

troupe::application program() {
  troupe::application app{.name = "global_process", .version = "1.0.0", .start = tree};
  app.offers.function("global_process.where", where, "where(): on which node the global process is, asked by its name");
  return app;
}

}  // namespace global_process
