#include "private_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <vector>

#include "unique_fd.hpp"

namespace troupe::internal {
namespace {

result<std::string> read_fd(int fd, const std::filesystem::path& path, std::size_t longest) {
  std::string out;
  std::array<char, 4096> part{};
  for (;;) {
    const ssize_t got = ::read(fd, part.data(), part.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_failure("read", path);
    if (got == 0) return out;
    out.append(part.data(), static_cast<std::size_t>(got));
    if (out.size() > longest) {
      return error(errc::too_large, path.string() + " has more than " + std::to_string(longest) + " bytes");
    }
  }
}

result<unique_fd> open_regular(const std::filesystem::path& path, struct stat& about, int links = O_NOFOLLOW) {
  unique_fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | links));
  if (!fd && errno == ENOENT) return error(errc::not_found, path.string() + " does not exist");
  if (!fd && errno == ELOOP) return error(errc::not_allowed, path.string() + " is a symbolic link");
  if (!fd || ::fstat(fd.get(), &about) != 0) return system_failure("open", path);
  if (!S_ISREG(about.st_mode)) return error(errc::not_allowed, path.string() + " is not a regular file");
  return fd;
}

bool is_in_group(gid_t group) {
  if (group == ::getegid()) return true;
  std::vector<gid_t> all(static_cast<std::size_t>(std::max(::getgroups(0, nullptr), 0)));
  const int count = ::getgroups(static_cast<int>(all.size()), all.data());
  return count > 0 && std::find(all.begin(), all.begin() + count, group) != all.begin() + count;
}

// A name beside `path` that nobody else uses.
std::filesystem::path beside(const std::filesystem::path& path) {
  static std::atomic<unsigned> count = 0;
  auto out = path;
  out += ".new-" + std::to_string(::getpid()) + "-" + std::to_string(++count);
  return out;
}

result<void> write_new(const std::filesystem::path& path, std::string_view content) {
  unique_fd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) return system_failure("create", path);
  while (!content.empty()) {
    const ssize_t put = ::write(fd.get(), content.data(), content.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) {
      error failed = system_failure("write", path);
      ::unlink(path.c_str());
      return failed;
    }
    content.remove_prefix(static_cast<std::size_t>(put));
  }
  return {};
}

}  // namespace

error system_failure(std::string_view what, const std::filesystem::path& path) {
  return error(errc::io, "cannot " + std::string(what) + " " + path.string() + ": " + std::strerror(errno));
}

result<std::string> read_whole(const std::filesystem::path& path, std::size_t longest) {
  struct stat about{};
  auto fd = open_regular(path, about);
  if (!fd) return fd.error();
  return read_fd(fd->get(), path, longest);
}

result<std::string> read_secret(const std::filesystem::path& path, std::size_t longest, bool root_may) {
  struct stat about{};
  auto fd = open_regular(path, about);
  if (!fd) return fd.error();
  if (about.st_uid != ::geteuid() && about.st_uid != 0 && !(root_may && ::geteuid() == 0)) {
    return error(errc::not_allowed, path.string() + " belongs to another user");
  }
  if ((about.st_mode & 077) != 0) {
    return error(errc::not_allowed, path.string() + " can be read by others: chmod 600 " + path.string());
  }
  return read_fd(fd->get(), path, longest);
}

result<std::string> read_given_secret(const std::filesystem::path& path, std::size_t longest) {
  struct stat link{};
  struct stat about{};
  const bool linked = ::lstat(path.c_str(), &link) == 0 && S_ISLNK(link.st_mode);
  if (linked && link.st_uid != ::geteuid() && link.st_uid != 0) {
    return error(errc::not_allowed, path.string() + " is another user's symbolic link");
  }
  auto fd = open_regular(path, about, linked ? 0 : O_NOFOLLOW);
  if (!fd) return fd.error();
  if (about.st_uid != ::geteuid() && about.st_uid != 0) {
    return error(errc::not_allowed, path.string() + " belongs to another user");
  }
  // Mounted by root, which has chosen that group, for nobody to write; a file made by hand is as often as not of a
  // group that all users are in.
  const bool of_our_group = about.st_uid == 0 && (about.st_mode & 0337) == 0 && is_in_group(about.st_gid);
  if ((about.st_mode & 077) != 0 && !of_our_group) {
    struct statvfs system{};
    const bool mounted = linked || (::fstatvfs(fd->get(), &system) == 0 && (system.f_flag & ST_RDONLY) != 0);
    return error(errc::not_allowed,
                 path.string() + " can be read by others: " +
                     (mounted ? "mount it with mode 0400, or with 0440 and a group of this process (Kubernetes: "
                                "defaultMode 0440 and fsGroup)"
                              : "chmod 600 " + path.string()));
  }
  return read_fd(fd->get(), path, longest);
}

result<void> replace_file(const std::filesystem::path& path, std::string_view content) {
  const auto fresh = beside(path);
  if (auto written = write_new(fresh, content); !written) return written;
  if (::rename(fresh.c_str(), path.c_str()) == 0) return {};
  error failed = system_failure("replace", path);
  ::unlink(fresh.c_str());
  return failed;
}

result<void> create_file(const std::filesystem::path& path, std::string_view content) {
  const auto fresh = beside(path);
  if (auto written = write_new(fresh, content); !written) return written;
  result<void> out;
  if (::link(fresh.c_str(), path.c_str()) != 0) {
    if (errno == EEXIST) out = error(errc::name_taken, path.string() + " exists");
    else out = system_failure("create", path);
  }
  ::unlink(fresh.c_str());
  return out;
}

std::string base32(std::string_view data) {
  constexpr std::string_view digits = "abcdefghijklmnopqrstuvwxyz234567";
  std::string out;
  std::uint32_t held = 0;
  unsigned bits = 0;
  for (const char c : data) {
    held = (held << 8) | static_cast<unsigned char>(c);
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      out += digits[(held >> bits) & 31];
    }
  }
  if (bits > 0) out += digits[(held << (5 - bits)) & 31];
  return out;
}

}  // namespace troupe::internal
