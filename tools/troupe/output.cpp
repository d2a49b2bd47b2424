#include "troupe/output.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <iostream>
#include <mutex>
#include <streambuf>

#include "boot/options.hpp"
#include "observe/json.hpp"
#include "troupe/terminal_guard.hpp"

namespace troupe::tool {
namespace {

constexpr std::size_t widest = 1u << 20;  // a value that was asked for is shown whole

// Columns, not bytes: continuation bytes of UTF-8 take no cell.
std::size_t cells(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

bool numeric(const std::string& text) {
  return !text.empty() && text.find_first_not_of("0123456789.-") == std::string::npos;
}

// What stands before standard error. Unbuffered, as that is; each piece that is given is a whole one.
class escaping_buffer final : public std::streambuf {
 protected:
  std::streamsize xsputn(const char* text, std::streamsize size) override {
    std::string shown = for_terminal({text, static_cast<std::size_t>(size)});
    for (std::string_view rest = shown; !rest.empty();) {
      const ssize_t written = write(STDERR_FILENO, rest.data(), rest.size());
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) return 0;
      rest.remove_prefix(static_cast<std::size_t>(written));
    }
    return size;
  }
  int_type overflow(int_type c) override {
    if (traits_type::eq_int_type(c, traits_type::eof())) return traits_type::not_eof(c);
    const char one = traits_type::to_char_type(c);
    return xsputn(&one, 1) == 1 ? c : traits_type::eof();
  }
};

}  // namespace

void emit_control(std::string_view text) {
  static std::mutex mutex;
  std::lock_guard guard(mutex);
  while (!text.empty()) {
    ssize_t written = write(STDOUT_FILENO, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) {
      const int why = errno;
      terminal_guard::give_back();
      if (why == EPIPE) _exit(141);
      std::cerr << "troupe: standard output: " << std::strerror(why) << "\n";
      _exit(internal::exit_failed);
    }
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

void emit(std::string_view text) { emit_control(for_terminal(text)); }

void emit_printed(std::string_view text) {
  static const bool terminal = isatty(STDOUT_FILENO) != 0;
  if (terminal) emit(text);
  else emit_control(text);
}

void guard_standard_error() {
  // Never destroyed: the standard library flushes std::cerr after the last static object of ours is gone.
  static auto* const buffer = new escaping_buffer;
  std::cerr.rdbuf(buffer);
}

void emit_json(const value& what) { emit(internal::to_json(what) + "\n"); }

std::string table::text() const {
  std::vector<std::size_t> width(heads_.size());
  std::vector<bool> right(heads_.size(), !rows_.empty());
  for (std::size_t i = 0; i < heads_.size(); ++i) width[i] = cells(heads_[i]);
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      width[i] = std::max(width[i], cells(row[i]));
      if (!numeric(row[i])) right[i] = false;
    }
  }
  std::string out;
  auto put = [&](const std::vector<std::string>& row) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      std::string gap(width[i] - cells(row[i]), ' ');
      line += right[i] ? gap + row[i] : row[i] + gap;
      if (i + 1 < row.size()) line += "  ";
    }
    while (line.ends_with(' ')) line.pop_back();
    out += line + "\n";
  };
  put(heads_);
  for (const auto& row : rows_) put(row);
  return out;
}

std::string plain(const value& what) {
  if (what.is_nil()) return "";
  if (const std::string* text = what.text()) return *text;
  return what.print(64, widest);
}

std::string plain_at(const value& map, std::string_view key) {
  const value* found = map.find(key);
  return found ? plain(*found) : "";
}

std::string lines_of(const value& map, std::size_t indent) {
  std::string out;
  const auto* entries = map.entries();
  if (!entries) return plain(map) + "\n";
  std::size_t width = 0;
  for (const auto& [key, item] : *entries) width = std::max(width, cells(plain(key)));
  for (const auto& [key, item] : *entries) {
    std::string name = plain(key);
    std::string head = std::string(indent, ' ') + name;
    const list* items = item.items();
    if (item.entries() && !item.entries()->empty()) {
      out += head + "\n" + lines_of(item, indent + 2);
    } else if (items && !items->empty() && items->front().entries()) {
      out += head + "\n";
      for (const value& each : *items) {
        std::string lines = lines_of(each, indent + 4);
        lines[indent + 2] = '-';
        out += lines;
      }
    } else {
      out += head + std::string(width - cells(name) + 2, ' ') + plain(item);
      while (out.ends_with(' ')) out.pop_back();
      out += "\n";
    }
  }
  return out;
}

std::string byte_count(std::uint64_t bytes) {
  static constexpr const char* units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  double amount = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (amount >= 1024 && unit + 1 < std::size(units)) {
    amount /= 1024;
    ++unit;
  }
  char text[32];
  std::snprintf(text, sizeof text, unit == 0 ? "%.0f %s" : "%.1f %s", amount, units[unit]);
  return text;
}

std::string time_of_day() {
  auto now = std::chrono::system_clock::now();
  std::time_t seconds = std::chrono::system_clock::to_time_t(now);
  auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count() % 1000;
  std::tm local{};
  localtime_r(&seconds, &local);
  char text[32];
  std::snprintf(text, sizeof text, "%02d:%02d:%02d.%03d", local.tm_hour, local.tm_min, local.tm_sec,
                static_cast<int>(ms));
  return text;
}

value parse_argument(const std::string& word) {
  if (word.starts_with('<')) {
    if (auto process = pid::parse(word)) return value(*process);
  }
  auto json = internal::from_json(word);
  return json ? std::move(*json) : value(word);
}

int complain(std::string_view command, const error& why) {
  std::cerr << "troupe " << command << ": " << why.message() << "\n";
  return internal::exit_code(why);
}

}  // namespace troupe::tool
