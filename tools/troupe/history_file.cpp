#include "troupe/history_file.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <iostream>
#include <thread>

namespace troupe::tool {
namespace {

constexpr std::string_view first_line = "_HiStOrY_V2_\n";
constexpr std::size_t most_bytes = 16u << 20;  // a file larger than that is not ours
constexpr auto longest_wait = std::chrono::milliseconds(500);

// Open and, unless somebody who was stopped holds it for too long, locked.
class locked_file {
 public:
  locked_file(const std::string& path, int flags) : fd_(open(path.c_str(), flags | O_CLOEXEC | O_NOCTTY, 0600)) {
    const auto end = std::chrono::steady_clock::now() + longest_wait;
    while (fd_ >= 0 && flock(fd_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
      if (std::chrono::steady_clock::now() >= end) return;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    locked_ = true;
  }
  ~locked_file() {
    if (fd_ >= 0) close(fd_);
  }
  locked_file(const locked_file&) = delete;
  locked_file& operator=(const locked_file&) = delete;

  [[nodiscard]] int fd() const noexcept { return fd_; }
  [[nodiscard]] bool locked() const noexcept { return locked_; }
  [[nodiscard]] bool is_plain(struct stat& about) const noexcept {
    return fd_ >= 0 && fstat(fd_, &about) == 0 && S_ISREG(about.st_mode);
  }

 private:
  int fd_;
  bool locked_ = false;
};

std::string read_all(int fd, std::size_t size) {
  std::string out(size, '\0');
  std::size_t have = 0;
  while (have < size) {
    const ssize_t got = pread(fd, out.data() + have, size - have, static_cast<off_t>(have));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    have += static_cast<std::size_t>(got);
  }
  out.resize(have);
  return out;
}

// As libedit writes: no space, no control character and no backslash stands for itself.
std::string encode(std::string_view line) {
  std::string out;
  for (const char c : line) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte > 0x20 && byte != 0x7f && c != '\\') {
      out += c;
    } else {
      out += '\\';
      for (int shift : {6, 3, 0}) out += static_cast<char>('0' + (byte >> shift & 7));
    }
  }
  return out;
}

// What `encode` and libedit's own vis(3) make: \ooo, \\, \^X.
std::string decode(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::string_view rest = text.substr(i);
    if (rest.size() >= 4 && rest[0] == '\\' && rest.substr(1, 3).find_first_not_of("01234567") == rest.npos) {
      out += static_cast<char>((rest[1] - '0') << 6 | (rest[2] - '0') << 3 | (rest[3] - '0'));
      i += 3;
    } else if (rest.starts_with("\\\\")) {
      out += '\\';
      ++i;
    } else if (rest.size() >= 3 && rest.starts_with("\\^")) {
      out += static_cast<char>(rest[2] ^ 0x40);
      i += 2;
    } else {
      out += rest[0];
    }
  }
  return out;
}

// Shorter than what was there: written first, cut off then, so that an end in between loses nothing.
void rewrite(int fd, const std::vector<std::string>& lines) {
  std::string text(first_line);
  for (const std::string& line : lines) text += encode(line) + "\n";
  if (pwrite(fd, text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()))
    (void)!ftruncate(fd, static_cast<off_t>(text.size()));
}

}  // namespace

std::vector<std::string> history_file::load(std::size_t most) {
  if (path_.empty()) return {};
  // Never waits for the other end of a pipe.
  const locked_file file(path_, O_RDWR | O_NONBLOCK);
  if (file.fd() < 0 && errno == ENOENT) return {};
  struct stat about{};
  const bool plain = file.is_plain(about);
  const std::string why = file.fd() < 0 ? std::strerror(errno) : "";
  std::string text;
  if (plain && about.st_size <= static_cast<off_t>(most_bytes))
    text = read_all(file.fd(), static_cast<std::size_t>(about.st_size));
  if (!why.empty() || !plain || (about.st_size > 0 && !text.starts_with(first_line))) {
    std::cerr << "no history: " << path_
              << (why.empty() ? " is no history of a shell, and is left as it is" : ": " + why) << "\n";
    path_.clear();
    return {};
  }
  std::vector<std::string> lines;
  for (std::size_t at = first_line.size(); at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    std::string line = decode(std::string_view(text).substr(at, end - at));
    if (line.find('\0') == std::string::npos && !line.empty()) lines.push_back(std::move(line));
    at = end + 1;
  }
  const bool long_enough = lines.size() > 4 * most;
  if (lines.size() > most) lines.erase(lines.begin(), lines.end() - static_cast<std::ptrdiff_t>(most));
  if (long_enough && file.locked()) rewrite(file.fd(), lines);
  return lines;
}

void history_file::append(std::string_view line) {
  if (path_.empty()) return;
  const locked_file file(path_, O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK);
  struct stat about{};
  if (!file.is_plain(about)) return;
  std::string text;
  if (about.st_size == 0) text = first_line;
  while (line.ends_with('\n')) line.remove_suffix(1);
  text += encode(line) + "\n";
  // Whole or not at all, as far as the system goes; a full disk loses a line of history and nothing else.
  (void)!write(file.fd(), text.data(), text.size());
}

}  // namespace troupe::tool
