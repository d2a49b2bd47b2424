#include <troupe/log.hpp>

namespace troupe {

void logger::log(log_level level, std::string_view text, fields extra) const {
  if (!enabled(level)) return;
  map all = metadata_;
  all.reserve(all.size() + extra.size());
  for (const auto& [key, item] : extra) all.emplace_back(value(key), item);
  sink_->log(level, text, std::move(all));
}

}  // namespace troupe
