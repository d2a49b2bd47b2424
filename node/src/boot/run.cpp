#include <troupe/run.hpp>
#include <troupe/spawn.hpp>
#include <troupe/utf8.hpp>

#include <poll.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <iostream>

#include "boot/config_service.hpp"
#include "boot/console.hpp"
#include "boot/daemon.hpp"
#include "boot/readiness.hpp"
#include "boot/run_options.hpp"
#include "boot/signals.hpp"
#include "boot/standard_files.hpp"
#include "boot/stop_wish.hpp"
#include "boot/user.hpp"
#include "dist/distribution.hpp"
#include "observe/log_writer.hpp"
#include "runtime/core.hpp"
#include "runtime/own.hpp"
#include "sched/scheduler.hpp"

namespace troupe {
namespace {

using namespace internal;

constexpr duration told_as_holder = std::chrono::milliseconds(100);
// For what comes when the time of a stop is over: killing, the threads, the last lines of the log.
constexpr duration end_time = std::chrono::seconds(10);

// What somebody's code has thrown, in words. Inside a handler.
std::string thrown_text() { return detail::reason_of(std::current_exception()).text(); }

task<> feed_watchdog(process& self, readiness* ready, duration every) {
  for (;;) {
    ready->alive();
    (void)co_await self.receive(every);
  }
}

// Tools ask through this; the node's core owns it.
class tool_stopper final : public detail::node_stopper {
 public:
  tool_stopper(stop_wish& wish, duration within) : wish_(wish), within_(within) {}
  duration request_stop(std::string why) override {
    wish_.ask(why.empty() ? "asked by a tool" : std::move(why));
    return within_;
  }

 private:
  stop_wish& wish_;
  duration within_;
};

// Owner: run(); main's thread, but for `on_signal`.
class program {
 public:
  program(application app, const parsed_options& given, std::optional<std::string> cookie, readiness& ready)
      : app_(std::move(app)), given_(given), cookie_(std::move(cookie)), ready_(ready) {}

  int run() {
    auto values = load_config(app_, given_);
    if (!values) return did_not_start(values.error().text());
    if (given_.has("explain-config")) return explain(*values);
    secrets_ = take_secret_variables(app_);
    block_signals();
    raise_file_limit();
    open_log(*values);
    signal_watch signals([this](int number) { on_signal(number); });
    stop_within_ = values->get<duration>("node.stop_within").value_or(std::chrono::seconds(30));
    int code = start(*values);
    if (code == exit_ok) code = serve();
    let_go();
    node_.reset();
    log_->stop(std::chrono::seconds(2));
    return code;
  }

 private:
  // The node waits for what C++ cannot end. A program that was told to stop does not: what still holds a thread when
  // the time is over is named, and goes with it.
  void let_go() {
    if (!node_) return;
    if (!stop_deadline_) stop_node(stop_within_);
    detail::core& core = node_->core();
    const duration left = *stop_deadline_ - std::chrono::steady_clock::now();
    // A worker that has left runs no process any more: first all must have ended.
    if (core.end_processes(core.clock().now()) &&
        core.scheduler().leave(std::max<duration>(left, std::chrono::milliseconds(500)))) {
      return;
    }
    for (const std::string& holder : core.held_threads())
      node_->log().critical("ended by force: this still holds a thread", {{"holder", holder}});
    console_.reset();  // writes what was printed
    log_->stop(std::chrono::seconds(2));
    std::_Exit(exit_failed);
  }

  [[nodiscard]] duration gone_within() const {
    return stop_within_ > wait_forever - end_time ? wait_forever : stop_within_ + end_time;
  }

  // As node::stop does; what takes longer than `limit` is for `let_go`.
  bool stop_node(duration limit) {
    stop_deadline_ = std::chrono::steady_clock::now() + limit;
    name_holders(limit);
    return node_->stop(limit);
  }

  // C++ cannot be interrupted: who waits for the stop can read what for.
  void name_holders(duration limit) {
    for (const detail::holding& one : detail::holders(node_->core())) {
      if (one.held < told_as_holder) continue;
      node_->log().warning("the stop waits for a process that holds its worker; in the end it goes by force",
                           {{"pid", one.about.id},
                            {"entry", value(one.about.entry)},
                            {"held_ms", one.held / std::chrono::milliseconds(1)},
                            {"within", value(print_time(limit))}});
    }
  }

  int did_not_start(const std::string& why) {
    std::cerr << app_.name << ": did not start: " << for_terminal(why) << "\n";
    if (log_) {
      logger(log_.get()).critical("did not start", {{"reason", why}});
      log_->flush(std::chrono::seconds(1));
    }
    ready_.failed(why);
    return exit_failed;
  }

  static int explain(const config& values) {
    for (const config_line& line : values.explain()) {
      std::cout << "# " << line.doc << "\n" << line.path << " = " << line.shown << "   # " << line.source;
      if (line.source != "default") std::cout << "; default " << line.standard;
      std::cout << "\n";
    }
    return exit_ok;
  }

  void open_log(const config& values) {
    log_config how;
    bool json = values.get<std::string>("log.format").value_or("") == "json";
    auto form = json ? log_config::form::json : log_config::form::text;
    how.level = parse_log_level(values.get<std::string>("log.level").value_or("info")).value_or(log_level::info);
    how.console = values.get<bool>("log.console").value_or(true) && !ready_.daemon() ? form : log_config::form::none;
    how.console_stdout = true;
    how.file = values.get<std::string>("log.file").value_or("");
    how.file_form = form;
    how.file_bytes = values.get<std::size_t>("log.file_bytes").value_or(how.file_bytes);
    how.file_count = values.get<std::size_t>("log.file_count").value_or(how.file_count);
    log_ = std::make_shared<log_writer>(std::move(how));
  }

  // Everything up to "ready"; exit_ok when it runs.
  int start(const config& values) {
    if (cookie_)
      logger(log_.get())
          .warning("--cookie shows the cookie to every user of this machine; use --cookie-file or TROUPE_COOKIE");
    auto options = options_from(app_, values, std::move(cookie_), std::move(secrets_));
    if (!options) return did_not_start(options.error().message());
    options->log = log_;
    auto made = node::start(std::move(*options));
    if (!made) return did_not_start(made.error().message());
    node_ = std::move(*made);
    attach_config(*node_, values);
    node_->core().attach<detail::node_stopper>(std::make_unique<tool_stopper>(wish_, gone_within()));
    if (!ready_.daemon()) {
      console_ = std::make_unique<console>(STDOUT_FILENO);
      if (auto* output = node_->core().find<user_output>())
        output->to([this](std::string_view text) { console_->put(text); });
    }
    if (auto fed = start_watchdog(); !fed) return did_not_start(fed.error().message());
    log_listeners();
    if (int code = start_root(); code != exit_ok) return code;
    node_->log().notice("ready", {{"node", value(node_->name())}});
    ready_.ready(node_->name());
    serving_ = true;
    return exit_ok;
  }

  // By one of the node's own processes, as tools are answered: a node that can be asked is alive.
  result<void> start_watchdog() {
    const duration every = ready_.watchdog();
    if (every <= duration::zero()) return {};
    spawn_options how;
    how.name = "troupe.watchdog";
    how.entry = "troupe.watchdog";
    auto made = detail::spawn_own(detail::own_kind::pillar, node_->core(), nullptr, std::move(how), &feed_watchdog,
                                  &ready_, every);
    if (!made) return made.error();
    return {};
  }

  void log_listeners() {
    list where;
    if (auto* network = node_->core().find<distribution>()) {
      for (const auto& each : network->endpoints()) where.emplace_back(each.text());
    }
    node_->log().notice("starting", {{"node", value(node_->name())},
                                     {"application", value(app_.name)},
                                     {"version", value(app_.version)},
                                     {"os_pid", value(static_cast<std::int64_t>(getpid()))},
                                     {"listeners", value(std::move(where))}});
  }

  int start_root() {
    auto here = node_->make_handle();
    if (!here) return did_not_start(here.error().message());
    main_ = std::move(*here);
    started root = start_application(*node_, app_);
    if (!root) {
      std::string why = root.text();
      main_.reset();
      stop_node(std::chrono::seconds(5));
      return did_not_start("the application " + app_.name + ": " + why);
    }
    if (root.process()) main_->self().monitor(root.process());
    return exit_ok;
  }

  // Until somebody asks for a stop or the root supervisor dies; then the orderly end.
  int serve() {
    int code = exit_ok;
    for (;;) {
      if (!wish_.why().empty()) break;
      auto got = main_->receive(duration::zero());
      if (got) {
        if (down* ended = got->get<down>()) {
          std::string why = ended->reason.text();
          node_->log().critical("the application's root supervisor has ended", {{"reason", ended->reason.term()}});
          std::cerr << app_.name << ": its root supervisor ended: " << for_terminal(why) << "\n";
          code = exit_failed;
          break;
        }
        continue;
      }
      pollfd waiting[2] = {{wish_.fd(), POLLIN, 0}, {main_->fd(), POLLIN, 0}};
      poll(waiting, 2, -1);
    }
    ready_.stopping();
    if (code == exit_ok) node_->log().notice("stopping", {{"reason", value(wish_.why())}});
    else wish_.stops_itself("the root supervisor ended");
    main_.reset();
    if (!stop_node(stop_within_)) {
      node_->log().error("not everything ended in time; what was left has been killed",
                         {{"within", value(print_time(stop_within_))}});
      return exit_failed;
    }
    node_->log().notice("stopped");
    return code;
  }

  // On the signal thread.
  void on_signal(int number) {
    if (number == SIGHUP && ready_.daemon()) {
      logger(log_.get())
          .notice("SIGHUP: the log goes on here; it rotates by itself, and looks for its file before each line");
      return;
    }
    std::string name = number == SIGTERM ? "SIGTERM" : number == SIGINT ? "SIGINT" : "SIGHUP";
    const auto place = wish_.signalled(name);
    // A start cannot be broken off in order: its supervisors do not listen before all children have started.
    if (place == stop_wish::place::first && !serving_) {
      logger(log_.get())
          .notice("asked to stop while starting; another signal, two seconds from now or later, ends it at once",
                  {{"reason", value(name)}});
    }
    if (place != stop_wish::place::second) return;
    logger(log_.get()).error("stopping now", {{"reason", "a second " + name}});
    log_->flush(std::chrono::milliseconds(500));
    std::_Exit(exit_failed);
  }

  application app_;
  const parsed_options& given_;
  std::optional<std::string> cookie_;
  secret_variables secrets_;
  readiness& ready_;
  stop_wish wish_;
  std::atomic<bool> serving_{false};
  duration stop_within_{};
  std::optional<std::chrono::steady_clock::time_point> stop_deadline_;  // of the stop that was asked for
  std::shared_ptr<log_writer> log_;
  std::unique_ptr<console> console_;
  std::unique_ptr<node> node_;
  std::unique_ptr<handle> main_;
};

// In the parent nothing of a node exists: only its configuration is looked at, so that a mistake in it is told at once.
int run_daemon(const application& app, const parsed_options& given, std::string called, std::vector<std::string> words,
               std::optional<std::string> cookie) {
  auto values = load_config(app, given);
  if (!values) {
    std::cerr << app.name << ": did not start: " << for_terminal(values.error().text()) << "\n";
    return exit_failed;
  }
  daemon_options how;
  how.program = app.name;
  how.called = std::move(called);
  how.log_file = values->get<std::string>("log.file").value_or("");
  how.ready_within = given.time("ready-within", std::chrono::seconds(60));
  if (how.log_file.empty()) {
    std::cerr << app.name << ": --daemon needs --log-file FILE (or log.file), where its log goes\n";
    return exit_usage;
  }
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i] == "--daemon" || words[i].starts_with("--cookie=")) continue;
    if (words[i] == "--cookie") ++i;
    else how.words.push_back(std::move(words[i]));
  }
  if (cookie) setenv("TROUPE_COOKIE", cookie->c_str(), 1);  // not in argv, where all can read it
  return start_daemon(how);
}

int run_checked(int argc, char** argv, application app) {
  open_standard_files();
  std::vector<std::string> words(argv + 1, argv + argc);
  auto cookie = take_cookie(argc, argv);
  command_table table = run_table(app);
  parse_result parsed = parse_command(table, words);
  if (!parsed.values) {
    (parsed.status == exit_ok ? std::cout : std::cerr) << parsed.text;
    return parsed.status;
  }
  if (parsed.values->has("version")) {
    std::cout << app.name << " " << (app.version.empty() ? "0" : app.version) << "\n";
    return exit_ok;
  }
  const std::string called = argc > 0 ? argv[0] : app.name;
  if (parsed.values->has("daemon")) return run_daemon(app, *parsed.values, called, std::move(words), std::move(cookie));
  readiness ready;
  // Started as /proc/self/exe, it would be `exe` in ps and top.
  if (ready.daemon()) prctl(PR_SET_NAME, std::filesystem::path(called).filename().c_str());
  return program(std::move(app), *parsed.values, std::move(cookie), ready).run();
}

}  // namespace

int run(int argc, char** argv, application app) {
  std::string name = app.name;
  try {
    return run_checked(argc, argv, std::move(app));
  } catch (...) {  // out of memory, no thread: the application's own code is caught where it is called
    std::cerr << name << ": failed: " << thrown_text() << "\n";
    return exit_failed;
  }
}

}  // namespace troupe
