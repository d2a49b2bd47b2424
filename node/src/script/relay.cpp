#include "script/relay.hpp"

#include <troupe/call.hpp>
#include <troupe/io.hpp>

#include "otp/strangers.hpp"

namespace troupe::internal {
namespace {

struct passed_on {
  TROUPE_MESSAGE(passed_on, "lua.passed_on")
};

task<> pass_sync(process& self, pid terminal, message asked) {
  auto written = co_await call(self, terminal, io_sync());
  if (written) self.reply(asked, value());
  else self.reply_error(asked, written.error());
}

}  // namespace

task<> relay_output(process& self, pid terminal) {
  self.set_label("shell output");
  for (;;) {
    auto got = co_await self.receive(wait_forever);
    if (!got) continue;
    if (got->get<io_put>()) {
      self.send(terminal, std::move(*got));
    } else if (got->is_call() && got->get<io_sync>()) {
      auto passing = pass_sync(self, terminal, std::move(*got));
      co_await std::move(passing);
    } else if (got->is_call() && got->get<passed_on>()) {
      self.reply(*got, value());
    } else {
      refuse_stranger(self, "the shell's output", *got);
    }
  }
}

task<> wait_passed_on(process& self, pid relay) { static_cast<void>(co_await call<void>(self, relay, passed_on())); }

}  // namespace troupe::internal
