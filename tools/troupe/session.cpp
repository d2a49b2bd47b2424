#include "troupe/session.hpp"

#include <unistd.h>

#include <csignal>
#include <iostream>
#include <mutex>

#include <troupe/io.hpp>

#include "boot/local_nodes.hpp"
#include "boot/user.hpp"
#include "runtime/core.hpp"
#include "troupe/output.hpp"

namespace troupe::tool {
namespace {

// Nobody there, or no answer: not reachable. What answered and said no: refused.
int connect_status(const error& why) {
  switch (why.code()) {
    case errc::bad_cookie:
    case errc::not_allowed:
    case errc::name_taken:
    case errc::unsupported: return internal::exit_refused;
    case errc::bad_name:
    case errc::bad_argument: return internal::exit_usage;
    default: return internal::exit_unreachable;
  }
}

std::string random_name(random_source& random) {
  static constexpr std::string_view letters = "abcdefghijklmnopqrstuvwxyz0123456789";
  std::string name = "tool-";
  for (int i = 0; i < 12; ++i) name += letters[random.below(letters.size())];
  return name + "@localhost";
}

}  // namespace

session::~session() {
  signals_.reset();
  hand_.reset();
  if (node_) node_->stop(std::chrono::seconds(1));
}

result<void> session::start(node_options options, const parsed_options& given) {
  interrupt_ = std::make_shared<std::function<void()>>();
  interrupt_mutex_ = std::make_shared<std::mutex>();
  timeout_ = given.time("timeout", std::chrono::seconds(5));
  auto cookie =
      internal::find_cookie(given.has("cookie-file") ? std::optional(given.text("cookie-file")) : std::nullopt);
  if (!cookie) return cookie.error();
  options.cookie = std::move(*cookie);
  auto made = troupe::node::start(std::move(options));
  if (!made) return made.error();
  node_ = std::move(*made);
  if (auto* output = node_->core().find<internal::user_output>()) output->to([](std::string_view text) { emit(text); });
  auto hand = node_->make_handle();
  if (!hand) return hand.error();
  hand_ = std::move(*hand);
  hand_->self().group_leader(node_->core().default_leader());
  signals_ = std::make_unique<internal::signal_watch>([handler = interrupt_, mutex = interrupt_mutex_](int number) {
    std::unique_lock lock(*mutex);
    if (number != SIGINT || !*handler) _exit(128 + number);
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

std::unique_ptr<session> session::open_local(std::string_view command, const parsed_options& given, int& status) {
  std::unique_ptr<session> made(new session);
  made->command_ = command;
  node_options options;
  options.name = given.text("name");
  options.application = "troupe " + std::string(command);
  if (auto started = made->start(std::move(options), given); !started) {
    status = complain(command, started.error());
    return nullptr;
  }
  made->target_ = made->node_->name();
  return made;
}

std::unique_ptr<session> session::open(std::string_view command, const parsed_options& given, int& status) {
  auto refuse = [&](const error& why) {
    std::cerr << "troupe " << command << ": " << why.message() << "\n";
    status = connect_status(why);
    return nullptr;
  };
  auto target = complete_node_name(given.text("NODE"));
  if (!target) return refuse(target.error());
  std::unique_ptr<session> made(new session);
  made->command_ = command;
  made->target_ = std::move(*target);
  node_options options;
  options.name = random_name(*system_random());
  options.application = "troupe " + std::string(command);
  options.tool = options.hidden = true;
  options.workers = 1;
  if (auto started = made->start(std::move(options), given); !started) return refuse(started.error());

  result<void> connected = error(errc::timeout);
  auto body = [out = &connected, name = made->target_.c_str(), limit = made->timeout_](process& self) -> task<> {
    auto dialling = connect(self, name).within(limit);
    *out = co_await std::move(dialling);
  };
  auto ended = made->run(made->timeout_ + std::chrono::seconds(1), body);
  if (!ended) return refuse(ended.error());
  if (!connected) return refuse(connected.error());
  return made;
}

result<value> session::ask(const std::string& function, list arguments) {
  result<value> out = error(errc::timeout);
  value given(std::move(arguments));
  auto body = [to = &out, me = this, name = &function, list = &given](process& self) -> task<> {
    auto calling = rpc::call_values(self, me->target_, *name, std::move(*list)).within(me->timeout_);
    *to = co_await std::move(calling);
  };
  auto ended = run(timeout_ + std::chrono::seconds(1), body);
  if (!ended) return ended.error();
  // What the function printed has reached `user` before its result: wait until it is written.
  (void)hand_->call<void>("user", io_sync(), std::chrono::seconds(5));
  return out;
}

int session::fail(const error& why) const { return complain(command_, why); }

int ask_and_show(std::string_view command, const parsed_options& given, const std::string& function, list arguments,
                 const std::function<std::string(const value&)>& show) {
  int status = internal::exit_ok;
  auto here = session::open(command, given, status);
  if (!here) return status;
  auto got = here->ask(function, std::move(arguments));
  if (!got) return here->fail(got.error());
  if (given.has("json")) emit_json(*got);
  else emit(show(*got));
  return internal::exit_ok;
}

}  // namespace troupe::tool
