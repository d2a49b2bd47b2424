// A log file that rotates by size, and is found or made again when somebody has moved or removed it.
#include "observe/log_output.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

namespace troupe::internal {
namespace {

bool is_same(const struct stat& a, const struct stat& b) noexcept {
  return a.st_ino == b.st_ino && a.st_dev == b.st_dev;
}

// The lines of one program. Others may write there too: what the program prints itself (standard output and error of a
// daemon), and a second daemon that tells why it did not start. So the size is asked for each time, and lines are
// written whole.
class rotating_file final : public log_output {
 public:
  rotating_file(std::filesystem::path path, std::size_t bytes, std::size_t count)
      : path_(std::move(path)),
        bytes_(std::max<std::size_t>(bytes, 1)),
        count_(std::clamp<std::size_t>(count, 1, 1000)) {}
  ~rotating_file() override {
    if (fd_ >= 0) ::close(fd_);
  }
  rotating_file(const rotating_file&) = delete;
  rotating_file& operator=(const rotating_file&) = delete;

  result<void> write(log_level, std::string_view line, std::size_t, std::size_t) override {
    if (auto found = find(); !found) return found;
    const auto size = static_cast<std::size_t>(about_.st_size);
    if (S_ISREG(about_.st_mode) && size > 0 && size + line.size() + 1 > std::max(bytes_, not_before_)) rotate(size);
    return put(line);
  }
  result<void> flush() override { return {}; }

 private:
  [[nodiscard]] error failure() const { return error(errc::io, path_.string() + ": " + std::strerror(errno)); }

  // The file at our path, which may be another one than that of the last line: a log rotated from outside goes on in
  // the new file. Where none can be made the old one is good enough.
  result<void> find() {
    struct stat there{};
    if (fd_ >= 0 && ::stat(path_.c_str(), &there) == 0 && is_same(there, about_)) {
      about_ = there;
      return {};
    }
    if (auto opened = open(); !opened && fd_ < 0) return opened;
    return {};
  }

  result<void> open() {
    const bool before = fd_ >= 0;
    make_folder();  // also later on: a cleaner of tmp may have taken it, too
    constexpr int how = O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY;
    int made = ::open(path_.c_str(), how | O_CREAT | O_EXCL, before ? about_.st_mode & 0777 : 0640);
    const bool fresh = made >= 0;
    if (!fresh) made = ::open(path_.c_str(), how | O_CREAT, 0640);
    struct stat about{};
    if (made < 0 || ::fstat(made, &about) != 0) {
      error why = failure();
      if (made >= 0) ::close(made);
      return why;
    }
    if (before && fresh) {  // who may read it stays as it was, whatever the umask says
      (void)!::fchown(made, about_.st_uid, about_.st_gid);
      ::fchmod(made, about_.st_mode & 0777);
    }
    if (before) follow(made);
    ::flock(made, LOCK_SH | LOCK_NB);  // a second daemon sees that the lines here are not its own (daemon.cpp)
    if (before) ::close(fd_);
    fd_ = made;
    if (before && fresh) about.st_mode = (about.st_mode & ~0777u) | (about_.st_mode & 0777u);
    about_ = about;
    within_line_ = false;
    not_before_ = 0;
    return {};
  }

  // Closed to others, as a run directory must be.
  void make_folder() const {
    std::filesystem::path part;
    for (const auto& name : path_.parent_path()) ::mkdir((part /= name).c_str(), 0700);
  }

  // Standard output and error of a daemon are this file: a crash's last words belong where the log goes on.
  void follow(int made) const {
    for (int fd : {STDOUT_FILENO, STDERR_FILENO}) {
      struct stat theirs{};
      if (::fstat(fd, &theirs) == 0 && is_same(theirs, about_)) ::dup2(made, fd);
    }
  }

  [[nodiscard]] std::filesystem::path old(std::size_t number) const {
    return path_.string() + "." + std::to_string(number);
  }

  void rotate(std::size_t size) {
    for (std::size_t i = count_; i > 1; --i) ::rename(old(i - 1).c_str(), old(i).c_str());
    if (::rename(path_.c_str(), old(1).c_str()) == 0) {
      if (open()) return;
      ::rename(old(1).c_str(), path_.c_str());
    }
    // Nothing is thrown away for that: the log grows, and it is tried again when it has.
    const error why = failure();
    if (not_before_ == 0) {
      const std::string text = "troupe: the log cannot be rotated and grows on: " + why.message() + "\n";
      std::fputs(text.c_str(), stderr);
    }
    not_before_ = size + bytes_ / 4 + 1;
  }

  result<void> put(std::string_view line) {
    std::string text;
    text.reserve(line.size() + 2);
    if (within_line_) text += '\n';  // the disk was full in the middle of one
    text += line;
    text += '\n';
    for (std::size_t at = 0; at < text.size();) {
      const ssize_t done = ::write(fd_, text.data() + at, text.size() - at);
      if (done < 0 && errno == EINTR) continue;
      if (done < 0) return failure();
      at += static_cast<std::size_t>(done);
      within_line_ = at > 0 && text[at - 1] != '\n';
    }
    return {};
  }

  const std::filesystem::path path_;
  const std::size_t bytes_, count_;
  int fd_ = -1;
  struct stat about_{};         // of the open file
  bool within_line_ = false;    // what was written last is no whole line
  std::size_t not_before_ = 0;  // no rotation is tried before it has this size
};

}  // namespace

std::unique_ptr<log_output> file_output(std::filesystem::path path, std::size_t bytes, std::size_t count) {
  return std::make_unique<rotating_file>(std::move(path), bytes, count);
}

}  // namespace troupe::internal
