#include "drop_log.hpp"

namespace troupe::bus::internal {

void drop_log::drop(std::string_view cause, time_point now, std::string_view message, map fields) {
  cause_state& state = causes_[cause];
  ++state.count;
  if (!state.lines.take(now)) {
    ++state.unsaid;
    return;
  }
  fields.emplace_back("cause", cause);
  fields.emplace_back("count", state.count);
  if (state.unsaid != 0) fields.emplace_back("not_logged", std::exchange(state.unsaid, 0));
  log(log_level::warning, message, std::move(fields));
}

void drop_log::log(log_level level, std::string_view message, map fields) const {
  if (sink_ != nullptr && sink_->enabled(level)) sink_->log(level, message, std::move(fields));
}

std::vector<std::pair<std::string, std::uint64_t>> drop_log::counts() const {
  std::vector<std::pair<std::string, std::uint64_t>> out;
  for (const auto& [cause, state] : causes_) out.emplace_back(cause, state.count);
  return out;
}

}  // namespace troupe::bus::internal
