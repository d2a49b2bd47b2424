#include "lab.hpp"

namespace troupe::test {

task<> worker(process& self) {
  for (;;) {
    auto got = co_await self.receive(wait_forever);
    if (auto* ask = got->get<Ask>()) self.reply(*got, Answer(ask->number + 1));
    if (auto* crash = got->get<Crash>()) throw std::runtime_error(crash->why);
  }
}

lab::lab(std::shared_ptr<log_sink> log, std::string name) {
  detail::bare_node_options options;
  options.name = std::move(name);
  options.workers = 2;
  options.log = std::move(log);
  options.node.application = "lab";
  options.node.version = "1.2.3";
  internal::offer_system_functions(options.node.offers);
  node = detail::make_bare_node(std::move(options));
  watching = &internal::attach_observer(node->core());
  here = node->make_handle().or_exit();
}

lab::~lab() {
  here.reset();
  EXPECT_TRUE(node->stop(20s));
}

pid lab::start(const char* name) {
  spawn_options options;
  if (name) options.name = name;
  options.entry = "lab.worker";
  return spawn(*node, std::move(options), worker).or_exit();
}

void lab::settle(const address& to) {
  auto answered = here->call<Answer>(to, Ask(1), 20s);
  EXPECT_TRUE(answered) << answered.error().message();
}

result<value> lab::call(std::string_view function, list arguments) {
  const catalogue_entry* entry = node->offers().find(function);
  if (!entry) return error(errc::undef, std::string(function));
  auto kept = std::make_shared<value>(std::move(arguments));
  auto got = here->run(30s, [entry, kept](process& self) -> task<result<value>> {
    auto running = entry->run(self, std::move(*kept));
    auto out = co_await std::move(running);
    co_return out;
  });
  if (!got) return got.error();
  return std::move(*got);
}

}  // namespace troupe::test
