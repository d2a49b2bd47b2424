#include <troupe/trace.hpp>

#include <algorithm>
#include <cmath>

namespace troupe::trace {
namespace {

error bad(std::string_view key, std::string_view wanted, const value& given) {
  return {errc::bad_argument,
          std::string(key) + ": " + std::string(wanted) + " expected, " + given.print(2, 80) + " given"};
}

result<void> take_flag(std::string_view key, const value& given, bool& out) {
  if (!given.boolean()) return bad(key, "true or false", given);
  out = *given.boolean();
  return {};
}

result<void> take_count(std::string_view key, const value& given, std::uint64_t& out) {
  if (!given.integer() || *given.integer() <= 0) return bad(key, "a whole number above 0", given);
  out = static_cast<std::uint64_t>(*given.integer());
  return {};
}

result<void> take_time(std::string_view key, const value& given, double unit, duration& out) {
  const auto number = given.number();
  constexpr double a_year = 3.2e16;  // ns
  if (!number || !std::isfinite(*number) || *number <= 0 || *number * unit > a_year)
    return bad(key, "a time above 0", given);
  out = duration(static_cast<std::int64_t>(*number * unit));
  return {};
}

result<void> take_rate(const value& given, spec& out) {
  const list* pair = given.items();
  if (!pair || pair->size() != 2) return bad("rate", "{events, milliseconds}", given);
  if (auto count = take_count("rate[1]", (*pair)[0], out.rate); !count) return count;
  return take_time("rate[2]", (*pair)[1], 1e6, out.rate_time);
}

result<void> take_calls(const value& given, std::vector<std::string>& out) {
  if (const auto* one = given.text()) {
    out = {*one};
    return {};
  }
  const list* items = given.items();
  if (!items) return bad("calls", "a list of function patterns", given);
  for (const auto& item : *items) {
    if (!item.text() || item.text()->empty()) return bad("calls", "a function pattern", item);
    out.push_back(*item.text());
  }
  return {};
}

result<void> take_processes(const value& given, list& out) {
  // Lua's empty table and one single filter are both natural to write.
  const list alone{given};
  const list* items = given.items();
  for (const auto& item : items ? *items : alone) {
    if (!item.process() && !(item.text() && !item.text()->empty()))
      return bad("processes", "a pid, a name or a pattern", item);
    out.push_back(item);
  }
  return {};
}

result<void> take_key(std::string_view key, const value& given, spec& out) {
  if (given.is_nil()) return {};
  if (key == "processes") return take_processes(given, out.processes);
  if (key == "receive") return take_flag(key, given, out.receive);
  if (key == "send") return take_flag(key, given, out.send);
  if (key == "life") return take_flag(key, given, out.life);
  if (key == "returns") return take_flag(key, given, out.returns);
  if (key == "force") return take_flag(key, given, out.force);
  if (key == "wait") return take_flag(key, given, out.wait);
  if (key == "calls") return take_calls(given, out.calls);
  if (key == "limit") return take_count(key, given, out.limit);
  if (key == "bytes") return take_count(key, given, out.bytes);
  if (key == "rate") return take_rate(given, out);
  if (key == "seconds") return take_time(key, given, 1e9, out.time);
  if (key == "window") {
    std::uint64_t count = 0;
    if (auto taken = take_count(key, given, count); !taken) return taken;
    out.window = static_cast<std::size_t>(std::min<std::uint64_t>(count, 1'000'000));
    return {};
  }
  if (key == "to") {
    if (!given.process()) return bad(key, "a pid", given);
    out.to = *given.process();
    return {};
  }
  return error(errc::bad_argument, "a trace has no option \"" + std::string(key.substr(0, 60)) + "\"");
}

}  // namespace

result<spec> spec::from(const value& given) {
  const map* entries = given.entries();
  if (!entries) return bad("trace", "a map", given);
  spec out;
  for (const auto& [key, item] : *entries) {
    if (!key.text()) return bad("trace", "a key that is a text", key);
    if (auto taken = take_key(*key.text(), item, out); !taken) return taken.error();
  }
  return result<spec>(std::move(out));
}

value spec::to_value() const {
  list patterns;
  for (const auto& pattern : calls) patterns.emplace_back(pattern);
  const list pace{value(rate), value(std::chrono::duration<double, std::milli>(rate_time).count())};
  return map_of({{"processes", value(processes)},
                 {"receive", receive},
                 {"send", send},
                 {"life", life},
                 {"returns", returns},
                 {"force", force},
                 {"wait", wait},
                 {"calls", value(std::move(patterns))},
                 {"limit", limit},
                 {"rate", value(pace)},
                 {"bytes", bytes},
                 {"seconds", std::chrono::duration<double>(time).count()},
                 {"window", window},
                 {"to", to ? value(to) : value()}});
}

}  // namespace troupe::trace
