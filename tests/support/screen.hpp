#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace troupe::test {

// What a terminal of this size would show after these bytes: enough of a VT100 (cursor, erasing, inserting, scrolling
// regions, the second screen) for line editors and full-screen programs. Every character takes one cell. Colours are
// read and forgotten. It has no file descriptors; `terminal` feeds it.
class screen {
 public:
  explicit screen(int rows = 24, int columns = 80);

  void feed(std::string_view bytes);
  void resize(int rows, int columns);

  int rows() const { return static_cast<int>(cells_.size()); }
  int columns() const { return columns_; }
  int cursor_row() const { return row_; }        // from 0
  int cursor_column() const { return column_; }  // from 0
  std::string row(int number) const;             // without spaces at its end
  std::string text() const;                      // all rows, each with its newline, without empty ones at the end
  const std::string& answers() const { return answers_; }  // what a terminal would have typed back
  void clear_answers() { answers_.clear(); }

 private:
  using line = std::vector<std::string>;  // one character of UTF-8 per cell

  enum class state { text, escape, charset, csi, string, string_escape };

  void put(std::string character);
  void control(char byte);
  void escape(char byte);
  void csi(char final);
  void erase_display(int mode);
  void erase_line(int mode);
  void line_feed();
  void reverse_feed();
  void scroll_up(int top, int count);
  void scroll_down(int top, int count);
  void set_private_mode(int mode, bool on);
  void move_to(int row, int column);
  int parameter(std::size_t index, int fallback) const;
  line blank() const { return line(static_cast<std::size_t>(columns_), " "); }
  line& current() { return cells_[static_cast<std::size_t>(row_)]; }

  int columns_;
  std::vector<line> cells_, saved_cells_;
  int row_ = 0, column_ = 0, saved_row_ = 0, saved_column_ = 0;
  int top_ = 0, bottom_;
  bool wrap_pending_ = false;
  state state_ = state::text;
  std::string sequence_, partial_, answers_;
};

}  // namespace troupe::test
