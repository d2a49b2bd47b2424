#pragma once
// Cuts a stream of bytes into lines.
#include <algorithm>
#include <optional>
#include <string>

namespace troupe::internal {

struct program_line {
  std::string data;
  bool eol = false;
};

// Owner: one stream. What it holds is at most what was added since the last `next` that found nothing, and a line.
class line_cutter {
 public:
  explicit line_cutter(std::size_t most_bytes) : most_(most_bytes) {}

  void add(std::string data) {
    if (at_ == rest_.size()) {
      rest_ = std::move(data);
      searched_ = 0;
    } else {
      rest_.erase(0, at_);
      searched_ = searched_ > at_ ? searched_ - at_ : 0;
      rest_ += data;
    }
    at_ = 0;
  }
  void end() { ended_ = true; }

  // A line with its newline gone, or a part without eol: what is longer than the bound, or the last bytes of all.
  std::optional<program_line> next() {
    const std::size_t end = rest_.find('\n', std::max(at_, searched_));
    if (end == std::string::npos) searched_ = rest_.size();
    const std::size_t length = std::min(end, rest_.size()) - at_;
    if (length > most_) return cut(most_, 0, false);
    if (end != std::string::npos) return cut(length, 1, true);
    if (ended_ && length > 0) return cut(length, 0, false);
    return std::nullopt;
  }
  // As it comes.
  std::optional<std::string> all() {
    if (at_ == rest_.size()) return std::nullopt;
    return cut(rest_.size() - at_, 0, false).data;
  }
  void clear() {
    rest_.clear();
    at_ = searched_ = 0;
  }
  [[nodiscard]] bool empty() const noexcept { return at_ == rest_.size(); }

 private:
  program_line cut(std::size_t length, std::size_t newline, bool eol) {
    program_line out{rest_.substr(at_, length), eol};
    at_ += length + newline;
    return out;
  }

  std::size_t most_;
  std::string rest_;
  std::size_t at_ = 0, searched_ = 0;  // no newline stands between them
  bool ended_ = false;
};

}  // namespace troupe::internal
