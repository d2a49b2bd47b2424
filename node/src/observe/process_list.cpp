#include <troupe/inspect.hpp>
#include <troupe/node.hpp>

#include "observe/glob.hpp"
#include "runtime/own.hpp"

#include <algorithm>
#include <unordered_map>

namespace troupe::inspect {
namespace {

using key = process_list_options::key;

constexpr duration told_after = std::chrono::milliseconds(50);  // that a process holds its worker

// What sorting needs, small: there may be a million of them.
struct candidate {
  pid id;
  std::uint64_t weight = 0;
};

std::uint64_t weight_of(const detail::process_summary& of, key sort) noexcept {
  switch (sort) {
    case key::queue: return of.queued;
    case key::memory: return of.memory;
    case key::reductions: return of.reductions;
    case key::id: return 0;
  }
  return 0;
}

bool before(const candidate& a, const candidate& b) noexcept {
  if (a.weight != b.weight) return a.weight > b.weight;
  return static_cast<std::uint32_t>(a.id.id()) != static_cast<std::uint32_t>(b.id.id())
             ? static_cast<std::uint32_t>(a.id.id()) < static_cast<std::uint32_t>(b.id.id())
             : a.id.id() < b.id.id();
}

// `held`: how long it has had its worker, when that is long.
value shown(const detail::process_summary& of, const std::string& name, value held) {
  value out = map_of({{"pid", of.id},
                      {"name", name},
                      {"entry", value(of.entry)},
                      {"status", value(detail::to_string(of.status))},
                      {"queue", of.queued},
                      {"memory", of.memory},
                      {"reductions", of.reductions}});
  if (!held.is_nil()) out.entries()->emplace_back(value("held"), std::move(held));
  return out;
}

}  // namespace

task<list> processes(process& self, process_list_options options) {
  detail::core& home = self.core();
  options.limit = std::min(options.limit, most_listed);
  std::unordered_map<pid, std::string> names;
  std::vector<pid> ids;
  for (auto& [name, holder] : home.registered()) {
    if (!options.name.empty()) {
      if (!internal::glob_match(options.name, name)) continue;
      ids.push_back(holder);
    }
    names.emplace(holder, std::move(name));
  }
  if (options.name.empty()) ids = home.processes();

  // The best `limit` of all, kept in a heap whose front is the worst of them.
  std::vector<candidate> best;
  constexpr std::size_t between_turns = 16'384;
  for (std::size_t i = 0; i < ids.size() && options.limit > 0; ++i) {
    if (i % between_turns == between_turns - 1) co_await self.yield();
    candidate one{ids[i], 0};
    if (options.sort != key::id) {
      const auto seen = home.summary(ids[i]);
      if (!seen) continue;
      one.weight = weight_of(*seen, options.sort);
    }
    if (best.size() == options.limit) {
      if (!before(one, best.front())) continue;
      std::pop_heap(best.begin(), best.end(), before);
      best.pop_back();
    }
    best.push_back(one);
    std::push_heap(best.begin(), best.end(), before);
  }
  std::sort_heap(best.begin(), best.end(), before);

  std::unordered_map<pid, duration> holders;
  for (const detail::holding& one : detail::holders(home)) {
    if (one.held >= told_after) holders.emplace(one.about.id, one.held);
  }
  list out;
  out.reserve(best.size());
  for (const candidate& one : best) {
    const auto seen = home.summary(one.id);
    if (!seen) continue;  // it has ended meanwhile
    const auto name = names.find(one.id);
    const auto holds = holders.find(one.id);
    out.push_back(
        shown(*seen, name == names.end() ? std::string() : name->second,
              holds == holders.end() ? value() : value(std::chrono::duration<double>(holds->second).count())));
  }
  co_return out;
}

}  // namespace troupe::inspect
