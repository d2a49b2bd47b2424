#pragma once
// A bare node with a shell's session, and the test's thread as its terminal.
#include <memory>
#include <optional>
#include <string>

#include <troupe/io.hpp>
#include <troupe/node.hpp>
#include <troupe/script.hpp>

#include "observe/observer.hpp"
#include "observe/system_functions.hpp"
#include "runtime/core.hpp"

#include <gtest/gtest.h>

#include "support/wait.hpp"

namespace troupe::test {

// A session on a node, and the test's thread as its terminal.
class console {
 public:
  explicit console(troupe::node& at) : console(at, at) {}
  // The terminal may be on another node, as that of a tool.
  console(troupe::node& at, troupe::node& terminals) : here(at), terminal(terminals.make_handle().or_exit()) {
    session = open(terminal->id());
  }

  pid open(pid at) {
    const catalogue_entry* entry = here.offers().find("troupe.lua");
    list arguments;
    arguments.push_back(map_of({{"terminal", at}}));
    return spawn(here,
                 [entry, given = value(std::move(arguments))](process& self) -> task<> {
                   auto running = entry->run(self, given);
                   auto done = co_await std::move(running);
                   if (!done) self.exit(exit_reason(done.error()));
                 })
        .or_exit();
  }

  void start(const std::string& source) { terminal->send(session, script::lua_eval(++asked, source)); }

  // The next message, if it came in time; what is printed goes to `output`, as a terminal does it.
  std::optional<message> next(std::chrono::milliseconds limit) {
    auto got = terminal->receive(limit);
    if (!got) return std::nullopt;
    if (auto* put = got->get<io_put>()) output += put->text;
    if (got->is_call() && got->get<io_sync>()) terminal->self().reply(*got, value());
    return std::move(*got);
  }

  // The result of the oldest line that is not answered yet.
  script::lua_result finish() {
    const auto end = std::chrono::steady_clock::now() + default_deadline;
    while (std::chrono::steady_clock::now() < end) {
      auto got = next(std::chrono::seconds(1));
      if (!got) continue;
      if (auto* result = got->get<script::lua_result>()) return *result;
    }
    ADD_FAILURE() << "no result";
    return {};
  }
  script::lua_result run(const std::string& source) {
    start(source);
    return finish();
  }
  // What it returned, or "error: …".
  std::string eval(const std::string& source) {
    const auto result = run(source);
    return result.ok ? result.text : "error: " + result.error;
  }
  // Waits until this much has been printed.
  bool printed(const std::string& text) {
    std::size_t looked = 0;  // so far
    return wait_until([&] {
      while (next(std::chrono::milliseconds(1))) {
      }
      const bool there = output.find(text, looked) != std::string::npos;
      looked = output.size() - std::min(output.size(), text.size());
      return there;
    });
  }
  std::string take_output() { return std::exchange(output, {}); }

  std::vector<std::string> complete(const std::string& line) {
    terminal->send(session, script::lua_complete(++asked, line));
    const auto end = std::chrono::steady_clock::now() + default_deadline;
    while (std::chrono::steady_clock::now() < end) {
      auto got = next(std::chrono::seconds(1));
      if (!got) continue;
      if (auto* found = got->get<script::lua_completions>()) return found->items;
    }
    ADD_FAILURE() << "no completions";
    return {};
  }
  void interrupt() { terminal->send(session, script::lua_interrupt(0)); }

  troupe::node& here;
  std::unique_ptr<handle> terminal;
  pid session;
  std::string output;
  std::int64_t asked = 0;
};

struct shell_node {
  explicit shell_node(catalogue offers, std::shared_ptr<log_sink> log) {
    offer_script(offers);
    internal::offer_system_functions(offers);
    detail::bare_node_options options;
    options.name = "shell@localhost";
    options.creation = 0x1f;
    options.log = std::move(log);
    options.node.offers = std::move(offers);
    node = detail::make_bare_node(std::move(options));
    internal::attach_observer(node->core());
  }
  std::unique_ptr<troupe::node> node;
};

// A bare node with one console.
class shell : public shell_node, public console {
 public:
  explicit shell(catalogue offers = {}, std::shared_ptr<log_sink> log = {})
      : shell_node(std::move(offers), std::move(log)), console(*node) {}
  ~shell() {
    terminal.reset();
    EXPECT_TRUE(node->stop(default_deadline));
  }
};

// `source` evaluated in a process of its own.
inline result<value> evaluate(troupe::node& node, std::string source, list arguments = {}, script::limits budget = {}) {
  auto here = node.make_handle().or_exit();
  auto done = here->run(default_deadline, [source, arguments, budget](process& self) -> task<result<value>> {
    auto running = script::evaluate(self, source, arguments, budget);
    auto got = co_await std::move(running);
    co_return got;
  });
  if (!done) return done.error();
  return std::move(*done);
}

inline bool starts(const std::string& text, std::string_view with) { return text.starts_with(with); }
inline bool has(const std::string& text, std::string_view what) { return text.find(what) != std::string::npos; }

}  // namespace troupe::test
