#include "support/screen.hpp"

#include <algorithm>
#include <cstdlib>
#include <utility>

namespace troupe::test {
namespace {

std::size_t utf8_length(unsigned char first) {
  if (first >= 0xf0) return 4;
  if (first >= 0xe0) return 3;
  return first >= 0xc0 ? 2 : 1;
}

}  // namespace

screen::screen(int rows, int columns) : columns_(columns), bottom_(rows - 1) {
  cells_.assign(static_cast<std::size_t>(rows), blank());
}

void screen::resize(int rows, int columns) {
  columns_ = columns;
  for (auto& row : cells_) row.resize(static_cast<std::size_t>(columns), " ");
  cells_.resize(static_cast<std::size_t>(rows), blank());
  top_ = 0;
  bottom_ = rows - 1;
  move_to(row_, column_);
}

std::string screen::row(int number) const {
  std::string text;
  for (const auto& cell : cells_.at(static_cast<std::size_t>(number))) text += cell;
  text.erase(text.find_last_not_of(' ') + 1);
  return text;
}

std::string screen::text() const {
  std::string all, gap;
  for (int n = 0; n < rows(); ++n) {
    const auto shown = row(n);
    if (shown.empty()) {
      gap += '\n';
      continue;
    }
    all += gap + shown + '\n';
    gap.clear();
  }
  return all;
}

void screen::feed(std::string_view bytes) {
  for (const char byte : bytes) {
    const auto code = static_cast<unsigned char>(byte);
    switch (state_) {
      case state::text:
        if (code < 0x20 || code == 0x7f) {
          control(byte);
          break;
        }
        partial_ += byte;
        if (partial_.size() >= utf8_length(static_cast<unsigned char>(partial_.front()))) {
          put(std::move(partial_));
          partial_.clear();
        }
        break;
      case state::escape: escape(byte); break;
      case state::charset: state_ = state::text; break;
      case state::csi:
        if (code >= 0x40 && code <= 0x7e) {
          state_ = state::text;
          csi(byte);
        } else if (code < 0x20) {
          control(byte);
        } else {
          sequence_ += byte;
        }
        break;
      case state::string:
        if (byte == '\a') state_ = state::text;
        if (byte == '\x1b') state_ = state::string_escape;
        break;
      case state::string_escape: state_ = byte == '\\' ? state::text : state::string; break;
    }
  }
}

void screen::put(std::string character) {
  if (wrap_pending_) {
    column_ = 0;
    line_feed();
    wrap_pending_ = false;
  }
  current()[static_cast<std::size_t>(column_)] = std::move(character);
  if (column_ + 1 < columns_) {
    ++column_;
  } else {
    wrap_pending_ = true;
  }
}

void screen::control(char byte) {
  switch (byte) {
    case '\r': column_ = 0; break;
    case '\n':
    case '\v':
    case '\f': line_feed(); break;
    case '\b': column_ = std::max(0, column_ - 1); break;
    case '\t': column_ = std::min(columns_ - 1, (column_ / 8 + 1) * 8); break;
    case '\x1b': state_ = state::escape; return;
    default: return;
  }
  wrap_pending_ = false;
}

void screen::escape(char byte) {
  state_ = state::text;
  switch (byte) {
    case '[':
      state_ = state::csi;
      sequence_.clear();
      break;
    case ']':
    case 'P':
    case '_':
    case '^': state_ = state::string; break;
    case '(':
    case ')':
    case '#': state_ = state::charset; break;
    case '7':
      saved_row_ = row_;
      saved_column_ = column_;
      break;
    case '8': move_to(saved_row_, saved_column_); break;
    case 'D': line_feed(); break;
    case 'E':
      column_ = 0;
      line_feed();
      break;
    case 'M': reverse_feed(); break;
    case 'c':
      cells_.assign(cells_.size(), blank());
      move_to(0, 0);
      break;
    default: break;
  }
}

int screen::parameter(std::size_t index, int fallback) const {
  std::size_t start = sequence_.starts_with('?') || sequence_.starts_with('>') ? 1 : 0;
  for (; index > 0; --index) {
    start = sequence_.find(';', start);
    if (start == std::string::npos) return fallback;
    ++start;
  }
  const int value = std::atoi(sequence_.c_str() + start);
  return value == 0 ? fallback : value;
}

void screen::csi(char final) {
  const int count = parameter(0, 1);
  auto& cells = current();
  const auto at = cells.begin() + column_;
  const int right = std::min(count, columns_ - column_);
  if (sequence_.starts_with('?')) {
    if (final == 'h' || final == 'l') set_private_mode(count, final == 'h');
    return;
  }
  switch (final) {
    case 'A': move_to(row_ - count, column_); break;
    case 'B':
    case 'e': move_to(row_ + count, column_); break;
    case 'C':
    case 'a': move_to(row_, column_ + count); break;
    case 'D': move_to(row_, column_ - count); break;
    case 'E': move_to(row_ + count, 0); break;
    case 'F': move_to(row_ - count, 0); break;
    case 'G':
    case '`': move_to(row_, count - 1); break;
    case 'd': move_to(count - 1, column_); break;
    case 'H':
    case 'f': move_to(count - 1, parameter(1, 1) - 1); break;
    case 'J': erase_display(parameter(0, 0)); break;
    case 'K': erase_line(parameter(0, 0)); break;
    case 'X': std::fill(at, at + right, " "); break;
    case 'P':
      std::move(at + right, cells.end(), at);
      std::fill(cells.end() - right, cells.end(), " ");
      break;
    case '@':
      std::move_backward(at, cells.end() - right, cells.end());
      std::fill(at, at + right, " ");
      break;
    case 'L': scroll_down(row_, count); break;
    case 'M': scroll_up(row_, count); break;
    case 'S': scroll_up(top_, count); break;
    case 'T': scroll_down(top_, count); break;
    case 'r':
      top_ = std::clamp(count - 1, 0, rows() - 1);
      bottom_ = std::clamp(parameter(1, rows()) - 1, top_, rows() - 1);
      move_to(0, 0);
      break;
    case 'n':
      if (count == 6) answers_ += "\x1b[" + std::to_string(row_ + 1) + ";" + std::to_string(column_ + 1) + "R";
      break;
    case 'c':
      if (sequence_.empty()) answers_ += "\x1b[?1;2c";
      break;
    default: break;  // colours and what does not move anything
  }
}

void screen::erase_display(int mode) {
  erase_line(mode);
  for (int n = 0; n < rows(); ++n) {
    if ((mode == 0 && n > row_) || (mode == 1 && n < row_) || mode >= 2) cells_[static_cast<std::size_t>(n)] = blank();
  }
}

void screen::erase_line(int mode) {
  auto& cells = current();
  const auto from = mode == 0 ? cells.begin() + column_ : cells.begin();
  const auto to = mode == 1 ? cells.begin() + column_ + 1 : cells.end();
  std::fill(from, to, " ");
  wrap_pending_ = false;
}

void screen::line_feed() {
  if (row_ == bottom_) {
    scroll_up(top_, 1);
  } else if (row_ + 1 < rows()) {
    ++row_;
  }
}

void screen::reverse_feed() {
  if (row_ == top_) {
    scroll_down(top_, 1);
  } else if (row_ > 0) {
    --row_;
  }
}

void screen::scroll_up(int top, int count) {
  for (count = std::min(count, bottom_ - top + 1); count > 0; --count) {
    cells_.erase(cells_.begin() + top);
    cells_.insert(cells_.begin() + bottom_, blank());
  }
}

void screen::scroll_down(int top, int count) {
  for (count = std::min(count, bottom_ - top + 1); count > 0; --count) {
    cells_.erase(cells_.begin() + bottom_);
    cells_.insert(cells_.begin() + top, blank());
  }
}

void screen::set_private_mode(int mode, bool on) {
  if (mode != 1049 && mode != 47 && mode != 1047) return;
  if (on) {
    saved_cells_ = std::exchange(cells_, std::vector<line>(cells_.size(), blank()));
    saved_row_ = row_;
    saved_column_ = column_;
  } else if (!saved_cells_.empty()) {
    const int height = rows();
    cells_ = std::exchange(saved_cells_, {});
    resize(height, columns_);
    move_to(saved_row_, saved_column_);
  }
}

void screen::move_to(int row, int column) {
  row_ = std::clamp(row, 0, rows() - 1);
  column_ = std::clamp(column, 0, columns_ - 1);
  wrap_pending_ = false;
}

}  // namespace troupe::test
