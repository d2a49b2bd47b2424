#include "troupe/session.hpp"

#include <unistd.h>

#include <csignal>
#include <iostream>
#include <mutex>

#include <troupe/bus/security.hpp>
#include <troupe/config.hpp>
#include <troupe/io.hpp>

#include "boot/local_nodes.hpp"
#include "boot/other_hosts.hpp"
#include "boot/user.hpp"
#include "runtime/core.hpp"
#include "troupe/output.hpp"
#include "troupe/terminal_guard.hpp"

namespace troupe::tool {
namespace {

// Of the dial: nobody there, or gone in between, is not reachable; no answer is not in time; who said no has refused.
int dial_status(const error& why) {
  switch (why.code()) {
    case errc::unsupported: return internal::exit_refused;
    case errc::closed:
    case errc::shutting_down: return internal::exit_unreachable;
    default: return internal::exit_code(why);
  }
}

// The host is for who reads the other node's log.
std::string random_name(random_source& random, bool elsewhere) {
  static constexpr std::string_view letters = "abcdefghijklmnopqrstuvwxyz0123456789";
  std::string name = "tool-";
  for (int i = 0; i < 12; ++i) name += letters[random.below(letters.size())];
  char host[65] = {};
  if (elsewhere && gethostname(host, sizeof host - 1) == 0 && check_node_name(name + "@" + host))
    return name + "@" + host;
  return name + "@localhost";
}

std::optional<std::string> cookie_file(const parsed_options& given) {
  return given.has("cookie-file") ? std::optional(given.text("cookie-file")) : std::nullopt;
}

result<std::string> cookie_for(const node_options& options, const parsed_options& given) {
  if (given.has("cookie")) {
    std::cerr << "--cookie shows the cookie to whoever looks at this machine's processes at the right moment; "
                 "--cookie-file and TROUPE_COOKIE do not\n";
    return given.text("cookie");
  }
  if (options.tool || options.name.empty()) return internal::find_cookie(cookie_file(given));
  return internal::find_or_make_cookie(cookie_file(given));
}

}  // namespace

// Asked by `troupe stop` and by the function `troupe.stop`. Owner: the core.
class stop_handler final : public detail::node_stopper {
 public:
  duration request_stop(std::string why) override {
    std::unique_lock lock(mutex_);
    auto run = stop_;
    lock.unlock();
    if (!run) _exit(internal::exit_ok);
    run(std::move(why));
    return std::chrono::seconds(10);
  }
  void to(std::function<void(std::string)> stop) {
    std::lock_guard guard(mutex_);
    stop_ = std::move(stop);
  }

 private:
  std::mutex mutex_;
  std::function<void(std::string)> stop_;
};

session::~session() {
  signals_.reset();
  hand_.reset();
  if (node_) node_->stop(std::chrono::seconds(1));
}

result<void> session::start(node_options options, const parsed_options& given) {
  interrupt_ = std::make_shared<std::function<void()>>();
  interrupt_mutex_ = std::make_shared<std::mutex>();
  timeout_ = given.time("timeout", std::chrono::seconds(5));
  if (given.has("transport")) {
    auto kind = internal::parse_transport(given.text("transport"));
    if (!kind) return error(kind.error().code(), "--transport: " + kind.error().text());
    options.transport = *kind;
  }
  auto cookie = cookie_for(options, given);
  if (cookie) options.cookie = std::move(*cookie);
  // The target's own key mostly does: only where it does not, the missing cookie is what went wrong.
  else if (options.tool && !given.has("cookie-file")) no_cookie_ = cookie.error();
  else return cookie.error();
  auto made = troupe::node::start(std::move(options));
  if (!made) return made.error();
  node_ = std::move(*made);
  if (auto* output = node_->core().find<internal::user_output>())
    output->to([](std::string_view text) { emit_printed(text); });
  auto hand = node_->make_handle();
  if (!hand) return hand.error();
  hand_ = std::move(*hand);
  hand_->self().group_leader(node_->core().default_leader());
  signals_ = std::make_unique<internal::signal_watch>([handler = interrupt_, mutex = interrupt_mutex_](int number) {
    std::unique_lock lock(*mutex);
    if (number != SIGINT || !*handler) {
      terminal_guard::give_back();
      _exit(128 + number);
    }
    auto run = *handler;
    lock.unlock();
    run();
  });
  return {};
}

void session::on_interrupt(std::function<void()> handler) {
  std::lock_guard guard(*interrupt_mutex_);
  *interrupt_ = std::move(handler);
}

void session::on_log(std::function<void(std::string)> show) {
  if (log_) log_->to(std::move(show));
}
void session::on_stop(std::function<void(std::string)> stop) {
  if (stopper_) stopper_->to(std::move(stop));
}

std::unique_ptr<session> session::open_local(std::string_view command, const parsed_options& given, int& status) {
  std::unique_ptr<session> made(new session);
  made->command_ = command;
  made->log_ = std::make_shared<shell_log>();
  node_options options;
  options.name = given.text(given.has("sname") ? "sname" : "name");
  auto peers = internal::given_peers(given);
  if (!peers) {
    (void)complain(command, peers.error());
    status = internal::exit_usage;
    return nullptr;
  }
  options.peers = std::move(*peers);
  options.hidden = given.has("hidden");
  options.application = "troupe " + std::string(command);
  options.log = made->log_;
  if (auto started = made->start(std::move(options), given); !started) {
    status = complain(command, started.error());
    if (started.error() == errc::bad_name || started.error() == errc::bad_argument) status = internal::exit_usage;
    return nullptr;
  }
  made->stopper_ =
      &static_cast<stop_handler&>(made->node_->core().attach<detail::node_stopper>(std::make_unique<stop_handler>()));
  made->target_ = made->node_->name();
  return made;
}

std::unique_ptr<session> session::open(std::string_view command, const parsed_options& given, int& status) {
  auto fail = [&](const error& why, int code) {
    (void)complain(command, why);
    status = code;
    return nullptr;
  };
  auto target = complete_node_name(given.text("NODE"));
  if (!target) return fail(target.error(), internal::exit_usage);
  std::unique_ptr<session> made(new session);
  made->command_ = command;
  made->target_ = std::move(*target);
  auto others = internal::find_other_hosts(given, made->target_, environ);
  if (!others) {
    const bool usage = others.error() == errc::bad_argument;
    return fail(others.error(), usage ? internal::exit_usage : internal::exit_failed);
  }
  node_options options;
  options.name = random_name(*system_random(), others->elsewhere);
  options.peers = std::move(others->peers);
  options.plain_text = others->speech;
  options.application = "troupe " + std::string(command);
  options.tool = options.hidden = true;
  options.workers = 1;
  if (auto started = made->start(std::move(options), given); !started) {
    const bool usage = started.error() == errc::bad_argument;
    return fail(started.error(), usage ? internal::exit_usage : internal::exit_code(started.error()));
  }

  result<void> connected = error(errc::timeout);
  auto body = [out = &connected, name = made->target_.c_str(), limit = made->timeout_](process& self) -> task<> {
    auto dialling = connect(self, name).within(limit);
    *out = co_await std::move(dialling);
  };
  auto ended = made->run(made->timeout_ + std::chrono::seconds(1), body);
  if (!ended) return fail(ended.error(), dial_status(ended.error()));
  if (!connected) {
    error why = made->patient(connected.error());
    if (why == errc::bad_cookie && made->no_cookie_.code() != errc::none)
      why = error(errc::bad_cookie, why.text() + "; " + made->no_cookie_.text());
    else if (why == errc::bad_cookie && made->node_->options().cookie.empty())
      why = error(errc::bad_cookie, why.text() + "; --cookie-file, TROUPE_COOKIE and ~/.troupe/cookie are looked at");
    return fail(why, dial_status(why));
  }
  return made;
}

result<value> session::ask(const std::string& function, list arguments) {
  result<value> out = error(errc::timeout);
  value given(std::move(arguments));
  const time_point began = node_->clock().now();
  auto body = [to = &out, me = this, name = &function, list = &given](process& self) -> task<> {
    auto calling = rpc::call_values(self, me->target_, *name, std::move(*list)).within(me->timeout_);
    *to = co_await std::move(calling);
  };
  auto ended = run(timeout_ + std::chrono::seconds(1), body);
  if (!ended) return patient(ended.error());
  // What the function printed has reached `user` before its result: wait until it is written.
  (void)hand_->call<void>("user", io_sync(), std::chrono::seconds(5));
  if (!out && node_->clock().now() - began >= timeout_) return patient(out.error());
  return out;
}

error session::patient(const error& why) const {
  if (why != errc::timeout) return why;
  return {errc::timeout, target_ + " did not answer within " + print_time(timeout_) + " (--timeout)"};
}

int session::fail(const error& why) const { return complain(command_, why); }

int ask_and_show(std::string_view command, const parsed_options& given, const std::string& function, list arguments,
                 const std::function<std::string(const value&)>& show, const std::function<void(value&)>& filter) {
  int status = internal::exit_ok;
  auto here = session::open(command, given, status);
  if (!here) return status;
  auto got = here->ask(function, std::move(arguments));
  if (!got) return here->fail(got.error());
  if (filter) filter(*got);
  if (given.has("json")) emit_json(*got);
  else emit(show(*got));
  return internal::exit_ok;
}

}  // namespace troupe::tool
