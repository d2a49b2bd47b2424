#include "boot/user.hpp"

#include <troupe/io.hpp>

#include "runtime/own.hpp"

#include "otp/strangers.hpp"

namespace troupe::internal {
namespace {

constexpr std::size_t most_waiting = 1u << 16;  // messages: beyond, printers lose theirs, counted

task<> user_loop(process& self) {
  auto* output = self.core().find<user_output>();
  self.group_leader(self.id());
  for (;;) {
    auto got = co_await self.receive(wait_forever);
    if (!got) continue;
    if (got->get<io_sync>()) {
      self.reply(*got, value());
    } else if (io_put* put = got->get<io_put>()) {
      if (output) output->put(self, put->text);
    } else {
      refuse_stranger(self, "user", *got);
    }
  }
}

}  // namespace

void user_output::to(std::function<void(std::string_view)> write) {
  auto kept = write ? std::make_shared<std::function<void(std::string_view)>>(std::move(write)) : nullptr;
  std::lock_guard guard(mutex_);
  write_ = std::move(kept);
}

void user_output::put(process& self, std::string_view text) {
  std::shared_ptr<std::function<void(std::string_view)>> write;
  {
    std::lock_guard guard(mutex_);
    write = write_;
  }
  if (write) {
    (*write)(text);
    return;
  }
  while (text.ends_with('\n')) text.remove_suffix(1);
  self.log().info(text);
}

result<void> start_user(node& n) {
  n.core().attach(std::make_unique<user_output>());
  spawn_options how;
  how.name = "user";
  how.entry = "troupe.user";
  how.mailbox_limit = most_waiting;
  auto made = detail::spawn_own(detail::own_kind::pillar, n.core(), nullptr, std::move(how), &user_loop);
  if (!made) return made.error();
  n.core().set_default_leader(made->process);
  return {};
}

}  // namespace troupe::internal
