#pragma once
// The session of a node (`troupe.lua`) as a terminal or a pipe in front of it sees it.
#include <algorithm>
#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <troupe/io.hpp>
#include <troupe/script.hpp>

#include "troupe/line_editor.hpp"
#include "troupe/session.hpp"

namespace troupe::tool {

// What comes from the session: text to print, a result, completions, or its end.
struct session_end {
  exit_reason reason;
};
using arrival = std::variant<std::string, script::lua_result, script::lua_completions, session_end>;

// The session of the node, as the terminal sees it. Thread: main's.
class lua_session {
 public:
  explicit lua_session(session& here) : here_(here) {}

  result<void> start() {
    result<spawned> made = error(errc::timeout);
    pid terminal = here_.hand().id();
    // An own node without a name is addressed by no name at all.
    std::string where = here_.node().name() == here_.target() ? std::string() : here_.target();
    auto done = here_.run(here_.timeout() + std::chrono::seconds(1),
                          [to = &made, at = where.c_str(), terminal, limit = here_.timeout()](process& self) -> task<> {
                            value options = map_of({{"terminal", value(terminal)}});
                            value arguments = list_of({std::move(options)});
                            auto spawning = spawn_values_on(self, at, "troupe.lua", std::move(arguments)).within(limit);
                            auto got = co_await std::move(spawning);
                            if (got) *to = spawned{*got, ref()};
                            else *to = got.error();
                          });
    if (!done) return done.error();
    if (!made) return made.error();
    evaluator_ = made->process;
    here_.hand().self().monitor(evaluator_);
    return {};
  }

  std::int64_t evaluate(std::string source) {
    here_.hand().send(evaluator_, script::lua_eval(++last_id_, std::move(source)));
    return last_id_;
  }
  void interrupt() { here_.hand().send(evaluator_, script::lua_interrupt(0)); }
  [[nodiscard]] int fd() const noexcept { return here_.hand().fd(); }

  std::optional<arrival> next(duration limit) {
    if (!kept_.empty()) {
      arrival out = std::move(kept_.front());
      kept_.pop_front();
      return out;
    }
    // All that came before these questions has been shown.
    for (message& asked : std::exchange(asked_, {})) here_.hand().self().reply(asked, value());
    return take(limit);
  }

  // Answers within a second or not at all; what else comes meanwhile is kept for `next`.
  completion complete(std::string_view line) {
    std::int64_t id = ++last_id_;
    here_.hand().send(evaluator_, script::lua_complete(id, std::string(line)));
    const time_point until = here_.node().clock().now() + std::chrono::seconds(1);
    for (;;) {
      auto got = take(until - here_.node().clock().now());
      if (!got) return {};
      if (auto* found = std::get_if<script::lua_completions>(&*got)) {
        if (found->id == id) return {std::move(found->word), std::move(found->items)};
      } else {
        kept_.push_back(std::move(*got));
      }
    }
  }

 private:
  std::optional<arrival> take(duration limit) {
    auto got = here_.hand().receive(std::max<duration>(limit, duration(0)));
    if (!got) return std::nullopt;
    if (auto* put = got->get<io_put>()) return arrival(std::move(put->text));
    if (auto* answer = got->get<script::lua_result>()) return arrival(std::move(*answer));
    if (auto* found = got->get<script::lua_completions>()) return arrival(std::move(*found));
    if (auto* gone = got->get<down>()) return arrival(session_end{gone->reason});
    if (got->is_call() && got->get<io_sync>()) asked_.push_back(std::move(*got));
    return arrival(std::string());  // nothing that a terminal shows
  }

  session& here_;
  pid evaluator_;
  std::int64_t last_id_ = 0;
  std::deque<arrival> kept_;
  std::vector<message> asked_;  // calls that want to know when all before them has been shown
};

}  // namespace troupe::tool
