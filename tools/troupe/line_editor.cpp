#include "troupe/line_editor.hpp"

#include <histedit.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "troupe/history_file.hpp"
#include "troupe/output.hpp"
#include "troupe/terminal_guard.hpp"

namespace troupe::tool {
namespace {

constexpr int history_lines = 2000;
constexpr char end_of_input = '\x04';  // what libedit answers for Ctrl-D on an empty line

std::size_t columns() {
  winsize size{};
  return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

std::size_t cells(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

std::string common_beginning(const std::vector<std::string>& items) {
  std::string out = items.front();
  for (const std::string& item : items) {
    auto differs = std::mismatch(out.begin(), out.end(), item.begin(), item.end()).first;
    out.erase(differs, out.end());
  }
  // Never half a character.
  while (!out.empty() && (static_cast<unsigned char>(out.back()) & 0x80) &&
         std::any_of(items.begin(), items.end(), [&](auto& item) {
           return item.size() > out.size() && (static_cast<unsigned char>(item[out.size()]) & 0xc0) == 0x80;
         })) {
    out.pop_back();
  }
  return out;
}

std::string in_columns(const std::vector<std::string>& items) {
  std::size_t width = 0;
  for (const std::string& item : items) width = std::max(width, cells(item) + 2);
  std::size_t per_row = std::max<std::size_t>(1, columns() / width);
  std::string out;
  for (std::size_t i = 0; i < items.size(); ++i) {
    bool last = (i + 1) % per_row == 0 || i + 1 == items.size();
    out += items[i] + (last ? "\n" : std::string(width - cells(items[i]), ' '));
  }
  return out;
}

}  // namespace

struct line_editor::impl {
  EditLine* edit = nullptr;
  History* history = nullptr;
  history_file kept;
  std::string prompt;
  bool visible = false;
  std::function<completion(std::string_view)> ask;

  static impl& of(EditLine* edit) {
    void* found = nullptr;
    el_get(edit, EL_CLIENTDATA, &found);
    return *static_cast<impl*>(found);
  }
  static char* give_prompt(EditLine* edit) { return of(edit).prompt.data(); }

  static unsigned char complete(EditLine* edit, int) {
    impl& me = of(edit);
    const LineInfo* line = el_line(edit);
    std::string before(line->buffer, line->cursor);
    if (!me.ask) return CC_ERROR;
    completion found = me.ask(before);
    // What no key types is no name that one completes; and here it would reach the terminal.
    std::erase_if(found.items, [](const std::string& item) { return for_terminal(item) != item; });
    if (found.items.empty() || !before.ends_with(found.word)) return CC_ERROR;
    std::string longest = common_beginning(found.items);
    bool longer = longest.size() > found.word.size();
    if (longer || found.items.size() == 1) {
      if (!found.word.empty()) el_deletestr(edit, static_cast<int>(cells(found.word)));
      if (el_insertstr(edit, longest.c_str()) != 0) return CC_ERROR;
      return CC_REFRESH;
    }
    me.print(in_columns(found.items));
    return CC_REDISPLAY;
  }

  void take_keys(bool yes) const {
    for (;;) {
      terminal_guard::change modes(yes);
      el_set(edit, EL_UNBUFFERED, yes ? 1 : 0);
      if (modes.done()) return;
      el_set(edit, EL_UNBUFFERED, 0);  // it believes that the keys are its own
    }
  }

  // Erases prompt and line, writes, and draws them anew: what was typed and where the cursor stood are kept.
  void print(std::string_view text) {
    if (!visible) {
      emit(text);
      return;
    }
    const LineInfo* line = el_line(edit);
    std::string typed(line->buffer, line->lastchar);
    std::size_t at = cells(std::string_view(line->buffer, static_cast<std::size_t>(line->cursor - line->buffer)));
    std::size_t rows = (cells(prompt) + at) / columns();
    std::string erase = rows > 0 ? "\x1b[" + std::to_string(rows) + "A" : "";
    take_keys(false);
    emit_control(erase + "\r\x1b[J");
    emit(text);
    if (!text.empty() && !text.ends_with('\n')) emit("\n");
    take_keys(true);
    std::fflush(stdout);
    if (!typed.empty()) {
      el_insertstr(edit, typed.c_str());
      el_cursor(edit, static_cast<int>(at) - static_cast<int>(cells(typed)));
      emit_control("\r\x1b[J");  // a refresh draws the prompt once more
      el_set(edit, EL_REFRESH);
      std::fflush(stdout);
    }
  }
};

line_editor::line_editor(std::string history) : impl_(std::make_unique<impl>()) {
  impl_->kept = history_file(std::move(history));
  impl_->edit = el_init("troupe", stdin, stdout, stderr);
  impl_->history = history_init();
  HistEvent event;
  ::history(impl_->history, &event, H_SETSIZE, history_lines);
  ::history(impl_->history, &event, H_SETUNIQUE, 1);
  for (const std::string& line : impl_->kept.load(history_lines))
    ::history(impl_->history, &event, H_ENTER, line.c_str());
  EditLine* edit = impl_->edit;
  el_set(edit, EL_CLIENTDATA, impl_.get());
  el_set(edit, EL_PROMPT, &impl::give_prompt);
  el_set(edit, EL_EDITOR, "emacs");
  el_set(edit, EL_SIGNAL, 0);
  el_set(edit, EL_HIST, ::history, impl_->history);
  el_set(edit, EL_ADDFN, "troupe-complete", "complete a name", &impl::complete);
  el_set(edit, EL_BIND, "^I", "troupe-complete", nullptr);
  el_set(edit, EL_BIND, "^R", "em-inc-search-prev", nullptr);
}

line_editor::~line_editor() {
  hide();
  el_end(impl_->edit);
  history_end(impl_->history);
}

void line_editor::on_complete(std::function<completion(std::string_view)> ask) { impl_->ask = std::move(ask); }
bool line_editor::shown() const noexcept { return impl_->visible; }

void line_editor::show(std::string prompt) {
  if (impl_->visible) hide();
  impl_->prompt = for_terminal(prompt);
  impl_->visible = true;
  impl_->take_keys(true);
  std::fflush(stdout);
}

void line_editor::hide() {
  if (!impl_->visible) return;
  impl_->visible = false;
  impl_->take_keys(false);
}

line_editor::outcome line_editor::read(std::string& line) {
  int count = 0;
  const char* buffer = el_gets(impl_->edit, &count);
  std::fflush(stdout);
  if (!buffer || count <= 0) {
    // libedit says the same of an end and of whatever leaves the line empty: Ctrl-L, a backspace.
    pollfd input{STDIN_FILENO, POLLIN, 0};
    const bool gone = poll(&input, 1, 0) > 0 && (input.revents & (POLLHUP | POLLERR | POLLNVAL));
    if (!gone) return outcome::more;
    hide();
    return outcome::end;
  }
  if (count == 1 && buffer[0] == end_of_input) {
    hide();
    return outcome::end;
  }
  char last = buffer[count - 1];
  if (last != '\n' && last != '\r') return outcome::more;
  line.assign(buffer, static_cast<std::size_t>(count - 1));
  hide();
  return outcome::line;
}

void line_editor::print(std::string_view text) { impl_->print(text); }

void line_editor::remember(const std::string& line) {
  if (line.find_first_not_of(" \t") == std::string::npos) return;
  HistEvent event;
  ::history(impl_->history, &event, H_ENTER, line.c_str());
  impl_->kept.append(line);
}

}  // namespace troupe::tool
