#include <troupe/global.hpp>

#include <algorithm>
#include <array>

#include <troupe/node.hpp>

#include "global/messages.hpp"
#include "global/service.hpp"

namespace troupe::global {

using namespace internal;

namespace {

constexpr duration margin = std::chrono::seconds(1);  // the service ends a wait by itself, and says so
// For what is answered at once by whoever runs at all.
constexpr duration longest_answer = std::chrono::seconds(10);

std::int64_t microseconds(duration within) {
  return within == wait_forever ? -1 : std::chrono::duration_cast<std::chrono::microseconds>(within).count();
}
duration patience(duration within) { return within == wait_forever ? wait_forever : within + margin; }

error absent() { return {errc::unsupported, "this node keeps no global names"}; }

std::string taken_text(const value& name, pid holder) {
  return "the global name " + name.print(4, 100) + " is held by " + holder.text();
}

task<registration> ask(process& self, register_asked asked, duration within) {
  const pid who = asked.process;
  const value name = asked.name;
  auto got = co_await call<pid>(self, keeper_name, std::move(asked)).within(patience(within));
  if (!got) co_return registration(got.error());
  if (*got == who) co_return registration(who, true);
  co_return registration(*got, error(errc::name_taken, taken_text(name, *got)));
}

}  // namespace

bool is_resolver(std::string_view word) noexcept {
  static constexpr std::array<std::string_view, 4> known{"oldest", "newest", "lowest_node", "notify_all"};
  return std::find(known.begin(), known.end(), word) != known.end();
}

task<registration> register_name(process& self, value name, pid who, register_options how) {
  register_asked asked(std::move(name), who, how.resolver(), false, microseconds(how.within()));
  return ask(self, std::move(asked), how.within());
}

task<registration> re_register_name(process& self, value name, pid who, register_options how) {
  register_asked asked(std::move(name), who, how.resolver(), true, microseconds(how.within()));
  return ask(self, std::move(asked), how.within());
}

task<result<bool>> unregister_name(process& self, value name, duration within) {
  unregister_asked asked(std::move(name));
  auto got = co_await call<bool>(self, keeper_name, std::move(asked)).within(std::min(within, longest_answer));
  co_return got;
}

task<result<pid>> whereis_name(process& self, value name, duration within) {
  auto* service = self.core().find<global_service>();
  if (!service) co_return result<pid>(absent());
  const std::string key = claim_key(false, name);
  auto known = service->whereis(key);
  if (known) co_return known;
  std::string arbiter = service->arbiter_node(key);
  where_asked asked(std::move(name));
  address to = arbiter.empty() ? address(keeper_name) : address(keeper_name, std::move(arbiter));
  auto got = co_await call<pid>(self, std::move(to), std::move(asked)).within(std::min(within, longest_answer));
  co_return got;
}

result<pid> whereis_here(const node& where, const name& wanted) {
  auto* service = where.core().find<global_service>();
  return service ? service->whereis(wanted.key()) : result<pid>(absent());
}

namespace {

std::vector<std::pair<value, pid>> names_of(const detail::core& core) {
  std::vector<std::pair<value, pid>> out;
  if (auto* service = core.find<global_service>()) {
    for (auto& one : service->held(false)) out.emplace_back(std::move(one.what.name), one.what.holder);
  }
  return out;
}

}  // namespace

std::vector<std::pair<value, pid>> registered_names(const node& where) { return names_of(where.core()); }
std::vector<std::pair<value, pid>> registered_names(const process& self) { return names_of(self.core()); }

task<result<void>> sync(process& self, duration within) {
  sync_asked asked(microseconds(within));
  auto got = co_await call<bool>(self, keeper_name, std::move(asked)).within(patience(within));
  if (!got) co_return result<void>(got.error());
  co_return result<void>();
}

std::vector<std::string> members(const node& where) {
  auto* service = where.core().find<global_service>();
  return service ? service->members() : std::vector<std::string>{where.name()};
}

value info(const node& where) {
  auto* service = where.core().find<global_service>();
  return service ? service->info() : value();
}

}  // namespace troupe::global
