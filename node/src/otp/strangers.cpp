#include "otp/strangers.hpp"

#include "runtime/process_private.hpp"

namespace troupe::internal {

void refuse_stranger(process& self, std::string_view who, message& got) {
  constexpr std::size_t depth = 6, width = 1000;
  self.core().counters().not_understood.fetch_add(1, std::memory_order_relaxed);
  std::string content = got.to_value().print(depth, width);
  if (got.is_call()) {
    self.reply_error(got, error(errc::bad_message, std::string(who) + " takes no such call: " + content));
    return;
  }
  self.log().warning("message that no handler takes",
                     {{"server", who}, {"from", got.peek()->from}, {"message", std::move(content)}});
}

bool is_genuine_exit(const message& got) noexcept {
  const detail::envelope& e = *got.peek();
  if (e.type != &detail::type_of<exit_message>) return false;
  return static_cast<const exit_message*>(e.payload())->from == e.from &&
         (e.id == detail::process_private::exit_by_link || e.id == detail::process_private::exit_by_asking);
}

}  // namespace troupe::internal
