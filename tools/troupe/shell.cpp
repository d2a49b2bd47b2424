// `troupe remote NODE` and `troupe shell`: a terminal in front of a Lua session (node/SHELL.md), which runs on the
// node.
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <clocale>
#include <iostream>
#include <mutex>
#include <optional>

#include <troupe/script.hpp>

#include "troupe/lua_session.hpp"
#include "troupe/output.hpp"
#include "troupe/session.hpp"
#include "troupe/terminal_guard.hpp"

namespace troupe::tool {
namespace {

using namespace std::chrono_literals;
using script::lua_result;

int tell_end(const session& here, const session_end& gone) {
  const bool lost = gone.reason.is("noconnection");
  const bool cut_off = gone.reason.is("killed") || gone.reason.is("shutdown");  // as everything when its node stops
  std::cerr << (lost      ? "the connection to " + here.target() + " is lost"
                : cut_off ? here.target() + " ended the shell's session: it stops, or somebody ended the session"
                          : "the shell's session ended: " + gone.reason.text())
            << "\n";
  return lost || cut_off ? internal::exit_unreachable : internal::exit_failed;
}

// -- input from a file or a pipe: no prompt, results to stdout, failures to stderr
// ---------------------------------------

class script_shell {
 public:
  explicit script_shell(session& here) : here_(here), lua_(here) {}

  int run() {
    if (auto started = lua_.start(); !started) return here_.fail(started.error());
    std::string pending;
    for (std::string line; status_ != internal::exit_unreachable && std::getline(std::cin, line);) {
      pending += (pending.empty() ? "" : "\n") + line;
      if (pending.find_first_not_of(" \t\n") == std::string::npos || evaluate(pending)) pending.clear();
    }
    if (pending.find_first_not_of(" \t\n") != std::string::npos) {
      std::cerr << "the input ends in the middle: " << incomplete_ << "\n";
      status_ = internal::exit_failed;
    }
    return status_;
  }

 private:
  // False when more lines are needed.
  bool evaluate(const std::string& source) {
    std::int64_t id = lua_.evaluate(source);
    for (;;) {
      auto got = lua_.next(wait_forever);
      if (!got) continue;
      if (auto* text = std::get_if<std::string>(&*got)) {
        emit_printed(*text);
      } else if (auto* gone = std::get_if<session_end>(&*got)) {
        status_ = tell_end(here_, *gone);
        return true;
      } else if (auto* answer = std::get_if<lua_result>(&*got); answer && answer->id == id) {
        if (answer->incomplete) {
          incomplete_ = answer->error;
          return false;
        }
        if (answer->ok && !answer->text.empty()) emit(answer->text + "\n");
        if (!answer->ok) {
          std::cerr << answer->error << "\n";
          status_ = internal::exit_failed;
        }
        return true;
      }
    }
  }

  session& here_;
  lua_session lua_;
  std::string incomplete_;
  int status_ = internal::exit_ok;
};

// -- a person at a terminal
// -----------------------------------------------------------------------------------------------

// ~/.troupe/history, or TROUPE_HISTORY; empty where there is no home.
std::string history_path() {
  if (const char* said = std::getenv("TROUPE_HISTORY")) return said;
  const char* home = std::getenv("HOME");
  if (!home || !*home) return {};
  std::string folder = std::string(home) + "/.troupe";
  mkdir(folder.c_str(), 0700);
  return folder + "/history";
}

// What other threads have to say to main's. Theirs too: a signal may come while the shell goes.
class news_box {
 public:
  struct news {
    bool interrupted = false;
    std::string log;
    std::optional<std::string> stop;  // why
  };

  news_box() : wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
  ~news_box() { close(wake_); }
  news_box(const news_box&) = delete;
  news_box& operator=(const news_box&) = delete;

  [[nodiscard]] int fd() const noexcept { return wake_; }  // readable when there are some

  template <class F>
  void note(F change) {
    std::lock_guard guard(mutex_);
    change(news_);
    std::uint64_t one = 1;
    (void)!write(wake_, &one, sizeof one);
  }
  news take() {
    std::lock_guard guard(mutex_);
    std::uint64_t count = 0;
    (void)!read(wake_, &count, sizeof count);
    return std::exchange(news_, {});
  }

 private:
  std::mutex mutex_;
  news news_;
  int wake_;
};

class terminal_shell {
 public:
  explicit terminal_shell(session& here) : here_(here), lua_(here), editor_(history_path()) {
    using news = news_box::news;
    here_.on_interrupt([box = box_] { box->note([](news& got) { got.interrupted = true; }); });
    here_.on_log([box = box_](const std::string& line) { box->note([&](news& got) { got.log += line; }); });
    here_.on_stop([box = box_](const std::string& why) { box->note([&](news& got) { got.stop = why; }); });
    editor_.on_complete([this](std::string_view line) { return lua_.complete(line); });
  }
  ~terminal_shell() {
    here_.on_interrupt({});
    here_.on_log({});
    here_.on_stop({});
  }
  terminal_shell(const terminal_shell&) = delete;
  terminal_shell& operator=(const terminal_shell&) = delete;

  int run() {
    if (auto started = lua_.start(); !started) return here_.fail(started.error());
    prompt();
    while (!over_) {
      pollfd waiting[4] = {{lua_.fd(), POLLIN, 0},
                           {box_->fd(), POLLIN, 0},
                           {evaluating_ ? -1 : STDIN_FILENO, POLLIN, 0},
                           {guard_.fd(), POLLIN, 0}};
      if (poll(waiting, 4, -1) < 0) {
        if (errno != EINTR) break;
        continue;  // what stands in `waiting` is of no poll
      }
      if (waiting[3].revents) {
        guard_.resumed();
        if (editor_.shown()) editor_.print("");
      }
      if (waiting[1].revents) look_at_news();
      if (waiting[2].revents && !over_) typed();
      arrived();
    }
    editor_.hide();
    return status_;
  }

 private:
  void prompt() {
    std::string name = here_.target();
    editor_.show(source_.empty() ? name + "> " : std::string(name.size(), '.') + "> ");
  }

  void typed() {
    std::string line;
    switch (editor_.read(line)) {
      case line_editor::outcome::more: return;
      case line_editor::outcome::end:
        emit("\n");
        over_ = true;
        return;
      case line_editor::outcome::line: break;
    }
    editor_.remember(line);
    source_ += (source_.empty() ? "" : "\n") + line;
    if (source_.find_first_not_of(" \t\n") == std::string::npos) {
      source_.clear();
      prompt();
      return;
    }
    evaluating_ = true;
    running_ = lua_.evaluate(source_);
  }

  void look_at_news() {
    const news_box::news got = box_->take();
    if (!got.log.empty()) editor_.print(got.log);
    if (got.interrupted) interrupted();
    if (!got.stop) return;
    editor_.hide();
    emit("\n" + here_.target() + " stops: " + *got.stop + "\n");
    over_ = true;
  }

  // Ctrl-C stops what is being evaluated, or drops what is being typed. The node never notices.
  void interrupted() {
    if (evaluating_) {
      lua_.interrupt();
      return;
    }
    editor_.hide();
    emit("\n");
    source_.clear();
    prompt();
  }

  void arrived() {
    while (auto got = lua_.next(0s)) {
      if (auto* text = std::get_if<std::string>(&*got)) {
        if (!text->empty()) editor_.print(*text);
      } else if (auto* answer = std::get_if<lua_result>(&*got)) {
        if (evaluating_ && answer->id == running_) finished(*answer);
      } else if (auto* gone = std::get_if<session_end>(&*got)) {
        editor_.hide();
        status_ = tell_end(here_, *gone);
        over_ = true;
        return;
      }
    }
  }

  void finished(const lua_result& answer) {
    evaluating_ = false;
    if (!answer.incomplete) {
      source_.clear();
      if (!answer.ok) emit("error: " + answer.error + "\n");
      else if (!answer.text.empty()) emit(answer.text + "\n");
    }
    prompt();
  }

  session& here_;
  lua_session lua_;
  terminal_guard guard_;
  line_editor editor_;
  std::shared_ptr<news_box> box_ = std::make_shared<news_box>();
  std::string source_;  // typed so far, when one line was not enough
  bool evaluating_ = false, over_ = false;
  std::int64_t running_ = 0;
  int status_ = internal::exit_ok;
};

int run_on(session& here) {
  if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) return script_shell(here).run();
  // Without a locale libedit would show an ü as four digits.
  const char* locale = std::setlocale(LC_CTYPE, "");
  if (!locale || std::string_view(locale) == "C" || std::string_view(locale) == "POSIX")
    std::setlocale(LC_CTYPE, "C.UTF-8");
  return terminal_shell(here).run();
}

int run(const char* name, const parsed_options& given) {
  if ((given.has("NODE") && (given.has("name") || given.has("sname") || given.has("hidden"))) ||
      (given.has("name") && given.has("sname"))) {
    std::cerr
        << "troupe " << name
        << ": --name (or --sname, the same) is for a shell that is a node itself; without it, NODE is attached to\n";
    return internal::exit_usage;
  }
  if (!given.has("NODE") && given.has("config")) {
    std::cerr << "troupe " << name << ": --config tells where NODE is: a shell that is a node itself has --peer\n";
    return internal::exit_usage;
  }
  int status = internal::exit_ok;
  auto here = given.has("NODE") ? session::open(name, given, status) : session::open_local(name, given, status);
  return here ? run_on(*here) : status;
}

constexpr const char* keys =
    "Tab completes, Ctrl-R searches the history (~/.troupe/history, or TROUPE_HISTORY), Ctrl-C stops what is being "
    "evaluated\n"
    "and never the node, Ctrl-D leaves. From a pipe it evaluates what it reads; the exit code is 1 when something "
    "failed.";

}  // namespace

command remote_command() {
  command_table rows;
  rows.name = "remote";
  rows.summary = "A shell on a running node; leaving it stops nothing.";
  rows.arguments = {node_argument()};
  rows.options = with_session({}, false);
  rows.notes = keys;
  rows.example = "troupe remote exercise\necho 'registered()' | troupe remote exercise";
  return {std::move(rows), [](const parsed_options& given) { return run("remote", given); }};
}

command shell_command() {
  command_table rows;
  rows.name = "shell";
  rows.summary = "A shell: on NODE, or on a node of its own.";
  rows.arguments = {{"NODE", "as for remote; without it the shell is a node itself, which ends with it", false}};
  rows.options = with_session(
      {{"--name", takes::text, "NAME", "of the own node, NAME or NAME@HOST: others can then connect to it"},
       {"--sname", takes::text, "NAME", "the same: there is one kind of names"},
       {"--hidden", takes::nothing, "", "the own node connects to others without being listed"},
       {"--cookie", takes::text, "VALUE", "for trying things out: the cookie where others can read it"}},
      false);
  rows.notes = std::string(keys) +
               "\nA node of its own connects to each --peer whenever that is there; NODE alone will do for one of this "
               "host.\nWith a name and no cookie (--cookie-file, TROUPE_COOKIE, ~/.troupe/cookie) one is made in "
               "~/.troupe/cookie.\nThe exit code is 5 when the name is taken.";
  rows.example = "troupe shell\ntroupe shell --name node3@localhost\ntroupe shell exercise";
  return {std::move(rows), [](const parsed_options& given) { return run("shell", given); }};
}

}  // namespace troupe::tool
