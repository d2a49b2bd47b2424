// A node for tests of the tools and of run(): what it does wrong is said by its configuration.
#include <troupe/inspect.hpp>
#include <troupe/run.hpp>
#include <troupe/server.hpp>
#include <troupe/spawn.hpp>
#include <troupe/task_supervisor.hpp>

#include <cstdlib>
#include <thread>

namespace {

using namespace std::chrono_literals;

struct Add {
  std::int64_t amount = 0;
  TROUPE_MESSAGE(Add, "add", amount)
};
struct Counter {
  using messages = troupe::handles<Add>;
  std::int64_t total = 0;
  TROUPE_FIELDS(Counter, total)

  std::int64_t on(troupe::process& self, const Add& add) {
    if (add.amount < 0) self.exit(troupe::exit_reason("negative amount"));
    return total += add.amount;
  }
};

// Takes its time to end, and tells the log when it is asked to and when it does: the order of a stop can be read there.
troupe::task<> ending(troupe::process& self, std::string name, troupe::duration slow) {
  self.trap_exits(true);
  (void)self.register_name(name);
  for (;;) {
    auto got = co_await self.receive(troupe::wait_forever);
    if (!got || !got->get<troupe::exit_message>()) continue;
    self.log().notice("asked to end", {{"child", troupe::value(name)}});
    co_await self.sleep(slow);
    self.log().notice("ends", {{"child", troupe::value(name)}});
    co_return;
  }
}

template <class T>
T setting(troupe::node& n, const char* key) {
  return troupe::config(n).get<T>(key).or_exit();
}

troupe::supervisor tree(troupe::node& n) {
  auto slow = setting<troupe::duration>(n, "sample.slow_stop");
  if (setting<bool>(n, "sample.crash_at_start")) std::abort();
  if (setting<bool>(n, "sample.throw_at_start")) throw std::runtime_error("this start throws");
  bool fails = setting<bool>(n, "sample.fail_start");
  bool hangs = setting<bool>(n, "sample.hang_at_start");
  auto first = [slow](troupe::process& up) {
    return troupe::spawn_link(up, ending, std::string("sample.first"), slow);
  };
  auto second = [](troupe::process& up) {
    return troupe::spawn_link(up, ending, std::string("sample.second"), troupe::duration(0));
  };
  auto third = [fails, hangs](troupe::process& up) -> troupe::task<troupe::started> {
    if (hangs) co_await up.sleep(troupe::wait_forever);
    if (fails) co_return troupe::started::failed(troupe::exit_reason("the disk is full"));
    co_return troupe::started::ignore();
  };
  auto plan = troupe::supervise("sample.supervisor").at_most(2, 60s);
  plan.child(troupe::task_supervisor("sample.tasks"));
  plan.server<Counter>("sample.counter");
  plan.child("first", first).stop_within(60s);
  plan.child("second", second).child("third", third);
  return plan;
}

troupe::result<std::int64_t> add_one(std::int64_t number) {
  if (number < 0) return troupe::result<std::int64_t>(troupe::errc::not_allowed, "negative numbers are not served");
  return troupe::result<std::int64_t>(number + 1);
}

troupe::task<troupe::result<std::int64_t>> add(troupe::process& self, std::int64_t amount) {
  auto got = co_await troupe::call<std::int64_t>(self, "sample.counter", Add(amount));
  co_return got;
}

// Bulk, then a small message, then the end of a process of its own: what a receiver must see in this order.
struct Bulk {
  troupe::bytes content;
  TROUPE_MESSAGE(Bulk, "bulk", content)
};
troupe::task<> pour(troupe::process& self, troupe::pid to, std::int64_t size) {
  self.send(to, Bulk{troupe::bytes(static_cast<std::size_t>(size))});
  self.send(to, troupe::value("small"));
  self.exit(troupe::exit_reason("poured"));
  co_return;
}

// The longest of so many round trips, in microseconds.
troupe::task<troupe::result<std::int64_t>> longest_trip(troupe::process& self, std::string node, std::int64_t trips) {
  troupe::duration longest{0};
  for (std::int64_t i = 0; i < trips; ++i) {
    const auto before = self.now();
    auto answer = co_await troupe::call<troupe::value>(self, troupe::address("echo", node), troupe::value("ping"));
    if (!answer) co_return answer.error();
    longest = std::max(longest, troupe::duration(self.now() - before));
  }
  co_return longest / 1us;
}

// Never lets go of its worker: asleep, or busy.
troupe::task<> holder(troupe::process& self, bool busy) {
  co_await self.sleep(20ms);  // who asked for it has its answer
  for (volatile bool go_on = true; go_on;) {
    if (!busy) std::this_thread::sleep_for(1h);
  }
}
void hold_workers(troupe::process& self, bool busy) {
  const auto workers = troupe::inspect::node_info(self.node()).integer_at("workers");
  for (std::int64_t i = 0; i < workers; ++i) {
    troupe::spawn_options how;
    how.entry = "sample.holder";
    (void)troupe::try_spawn(self, std::move(how), holder, busy);
  }
}

troupe::application program() {
  troupe::application app{.name = "sample", .version = "1.2.3", .start = tree};
  app.offers.function("sample.add_one", &add_one, "add_one(number) -> number");
  app.offers.function("sample.add", &add, "add(amount): to the counter");
  app.offers.function("sample.echo", [](troupe::value given) { return given; }, "echo(anything)");
  app.offers.function("sample.say", [](troupe::process& self, std::string text, std::int64_t times) {
    for (std::int64_t i = 0; i < times; ++i) self.print(text);
  });
  app.offers.process("sample.pour", &pour, "pour(pid, bytes): one long message, a small one, and the end");
  app.offers.function("sample.longest_trip", &longest_trip, "longest_trip(node, trips): to its process echo, in µs");
  app.offers.function("sample.hold_workers", &hold_workers, "hold_workers(busy): all of them, from now on");
  app.offers.function("sample.throw", [](std::string text) -> std::int64_t { throw std::runtime_error(text); });
  app.offers.function("sample.wait",
                      [](troupe::process& self) -> troupe::task<> { co_await self.sleep(troupe::wait_forever); });
  app.config.time("sample.slow_stop", 0s, "how long the first child takes to end");
  app.config.boolean("sample.fail_start", false, "the third child does not start");
  app.config.boolean("sample.hang_at_start", false, "the third child never says whether it has started");
  app.config.boolean("sample.throw_at_start", false, "the start throws");
  app.config.boolean("sample.crash_at_start", false, "the start aborts");
  return app;
}

}  // namespace

int main(int argc, char** argv) { return troupe::run(argc, argv, program()); }
