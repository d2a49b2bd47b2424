#include <troupe/group.hpp>

#include <algorithm>

#include "global/group_service.hpp"
#include "global/membership.hpp"

namespace troupe::group {
namespace {

using internal::group_service;
using internal::group_table;

group_service* service_of(const node& where) { return where.core().find<group_service>(); }

error no_groups() { return {errc::unsupported, "this node was made without groups"}; }

template <class Use>
result<void> with_service(process& self, Use use) {
  group_service* service = service_of(self.node());
  return service ? use(*service) : result<void>(no_groups());
}

// What `look` makes of the scope's table; what it has by default when there is none.
template <class T, class Look>
T read(const node& where, std::string_view scope, Look look) {
  group_service* service = service_of(where);
  if (!service) return T();
  return service->with([&](group_service::state& s) {
    const auto found = s.scopes.find(scope);
    return found == s.scopes.end() ? T() : look(static_cast<const group_table&>(found->second));
  });
}

}  // namespace

result<void> start_scope(node& where, std::string_view scope) {
  group_service* service = service_of(where);
  return service ? service->start_scope(scope) : result<void>(no_groups());
}

std::vector<std::string> scopes(const node& where) {
  group_service* service = service_of(where);
  return service ? service->scopes() : std::vector<std::string>();
}

result<void> join(process& self, const value& group, pid member, std::string_view scope) {
  return join(self, group, std::vector<pid>{member}, scope);
}
result<void> join(process& self, const value& group, const std::vector<pid>& members, std::string_view scope) {
  return with_service(self, [&](group_service& s) { return s.join(scope, group, members); });
}
result<void> leave(process& self, const value& group, pid member, std::string_view scope) {
  return leave(self, group, std::vector<pid>{member}, scope);
}
result<void> leave(process& self, const value& group, const std::vector<pid>& members, std::string_view scope) {
  return with_service(self, [&](group_service& s) { return s.leave(scope, group, members); });
}
result<void> create(process& self, const value& group, std::string_view scope) {
  return with_service(self, [&](group_service& s) { return s.create(scope, group, true); });
}
result<void> remove(process& self, const value& group, std::string_view scope) {
  return with_service(self, [&](group_service& s) { return s.create(scope, group, false); });
}

std::vector<pid> members(const node& where, const value& group, std::string_view scope) {
  return read<std::vector<pid>>(where, scope, [&](const group_table& table) {
    const auto* found = table.find(group);
    return found ? found->members() : std::vector<pid>();
  });
}
std::vector<pid> local_members(const node& where, const value& group, std::string_view scope) {
  return read<std::vector<pid>>(where, scope, [&](const group_table& table) {
    const auto* found = table.find(group);
    return found ? found->local : std::vector<pid>();
  });
}
std::vector<value> which_groups(const node& where, std::string_view scope) {
  return read<std::vector<value>>(where, scope, [](const group_table& table) {
    std::vector<value> out;
    for (const auto& [key, one] : table.all()) out.push_back(one.name);
    return out;
  });
}
std::vector<value> which_local_groups(const node& where, std::string_view scope) {
  return read<std::vector<value>>(where, scope, [](const group_table& table) {
    std::vector<value> out;
    for (auto& [group, there] : table.local_groups()) out.push_back(std::move(group));
    return out;
  });
}
bool exists(const node& where, const value& group, std::string_view scope) {
  return read<bool>(where, scope, [&](const group_table& table) { return table.find(group) != nullptr; });
}

std::optional<pid> closest(const node& where, const value& group, std::string_view scope) {
  const std::vector<pid> all = members(where, group, scope);
  std::vector<pid> some;
  std::ranges::copy_if(all, std::back_inserter(some),
                       [&](pid one) { return where.core().is_local(one) && where.exists(one); });
  if (some.empty()) {
    std::ranges::copy_if(all, std::back_inserter(some), [&](pid one) { return !where.core().is_local(one); });
  }
  if (some.empty()) return std::nullopt;
  return some[where.random().below(some.size())];
}

result<group_monitor> monitor(process& self, const value& group, std::string_view scope) {
  group_monitor out{self.make_ref(), {}};
  auto done = with_service(self, [&](group_service& s) {
    return s.subscribe(self.id(), out.monitor, scope, &group, [&](const group_table& table) {
      if (const auto* found = table.find(group)) out.members = found->members();
    });
  });
  if (!done) return done.error();
  return out;
}

result<scope_monitor> monitor_scope(process& self, std::string_view scope) {
  scope_monitor out{self.make_ref(), {}};
  auto done = with_service(self, [&](group_service& s) {
    return s.subscribe(self.id(), out.monitor, scope, nullptr, [&](const group_table& table) {
      for (const auto& [key, one] : table.all()) {
        auto there = one.members();
        if (!there.empty()) out.groups.emplace_back(one.name, std::move(there));
      }
    });
  });
  if (!done) return done.error();
  return out;
}

std::optional<change> change_in(const message& received) {
  const detail::envelope* e = received.peek();
  if (!e || e->type != &detail::type_of<value>) return std::nullopt;
  const list* parts = static_cast<const value*>(e->payload())->items();
  if (!parts || parts->size() != 4 || !(*parts)[0].reference() || !(*parts)[1].text() || !(*parts)[3].items())
    return std::nullopt;
  const std::string& what = *(*parts)[1].text();
  if (what != "join" && what != "leave") return std::nullopt;
  change out{*(*parts)[0].reference(), what == "join", (*parts)[2], {}};
  for (const value& one : *(*parts)[3].items()) {
    if (!one.process()) return std::nullopt;
    out.members.push_back(*one.process());
  }
  return out;
}

task<bool> demonitor(process& self, ref monitor) {
  group_service* service = service_of(self.node());
  const bool there = service && service->unsubscribe(self.id(), monitor);
  auto of_it = [&monitor](const message& m) {
    const auto told = change_in(m);
    return told && told->monitor == monitor;
  };
  for (;;) {
    auto flushed = co_await self.receive_if(of_it, duration::zero());
    if (!flushed) break;
  }
  co_return there;
}

std::size_t broadcast_value(process& self, const value& group, value content, std::string_view scope) {
  std::vector<pid> here;
  const auto there = read<std::vector<std::string>>(self.node(), scope, [&](const group_table& table) {
    if (const auto* found = table.find(group)) here = found->local;
    return table.nodes_of(group);
  });
  std::ranges::sort(here);
  const auto repeated = std::ranges::unique(here);
  here.erase(repeated.begin(), repeated.end());
  for (const std::string& id : there) {
    self.send(address(internal::groups_name, std::string(internal::member_name(id))),
              internal::groups_cast(std::string(scope), group, content));
  }
  for (const pid one : here) self.send(one, value(content));
  return there.size() + (here.empty() ? 0 : 1);
}

value list_groups(const node& where, std::optional<std::string_view> scope) {
  list out;
  if (group_service* service = service_of(where)) {
    service->with([&](group_service::state& s) {
      for (const auto& [name, table] : s.scopes) {
        if (scope && *scope != name) continue;
        for (const auto& [key, one] : table.all()) {
          list members;
          for (const pid each : one.members()) members.emplace_back(each);
          out.push_back(map_of({{"scope", value(name)},
                                {"name", one.name},
                                {"members", value(std::move(members))},
                                {"created", value(one.created)}}));
        }
      }
      return 0;
    });
  }
  return value(std::move(out));
}

}  // namespace troupe::group
