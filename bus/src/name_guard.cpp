#include "name_guard.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <span>
#include <string>

#include "crypto/proof.hpp"
#include "private_file.hpp"

namespace troupe::internal {
namespace {

// Containers of one network may have a folder of the same path, each its own: they differ in their mounts.
std::string mounts() {
  std::array<char, 64> text{};
  const ssize_t size = ::readlink("/proc/self/ns/mnt", text.data(), text.size());
  return {text.data(), static_cast<std::size_t>(std::max<ssize_t>(size, 0))};
}

sockaddr_un address_of(const std::filesystem::path& folder, std::string_view name, socklen_t& size) {
  std::error_code failed;
  auto whole = std::filesystem::canonical(folder, failed);
  const std::string path = failed ? folder.string() : whole.string();
  const std::string what = std::to_string(::geteuid()) + '\0' + mounts() + '\0' + path + '\0' + std::string(name);
  const auto hash = prove("", "troupe node name", {{std::as_bytes(std::span(what))}});
  const std::string text = "troupe/" + base32({reinterpret_cast<const char*>(hash.data()), hash.size()});
  sockaddr_un out{};
  out.sun_family = AF_UNIX;
  std::memcpy(out.sun_path + 1, text.data(), text.size());  // the zero byte in front makes it abstract
  size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + text.size());
  return out;
}

unique_fd make_socket() { return unique_fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)); }

}  // namespace

result<unique_fd> guard_name(const std::filesystem::path& folder, std::string_view name) {
  socklen_t size = 0;
  const sockaddr_un where = address_of(folder, name, size);
  unique_fd fd = make_socket();
  if (!fd) return unique_fd();
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&where), size) == 0) {
    if (::listen(fd.get(), SOMAXCONN) != 0) return unique_fd();
    return fd;
  }
  if (errno != EADDRINUSE) return unique_fd();
  unique_fd asking = make_socket();
  ucred holder{};
  socklen_t length = sizeof holder;
  if (!asking || ::connect(asking.get(), reinterpret_cast<const sockaddr*>(&where), size) != 0 ||
      ::getsockopt(asking.get(), SOL_SOCKET, SO_PEERCRED, &holder, &length) != 0) {
    // It ends just now, or too many have asked: whoever it is, the caller tries again.
    return error(errc::name_taken, "a node " + std::string(name) + " runs here already");
  }
  if (holder.uid != ::geteuid() && holder.uid != 0) return unique_fd();
  return error(errc::name_taken,
               "a node " + std::string(name) + " runs here already, as os process " + std::to_string(holder.pid));
}

unique_fd guard_folder(const std::filesystem::path& folder) {
  unique_fd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd || ::flock(fd.get(), LOCK_SH | LOCK_NB) != 0) return unique_fd();
  return fd;
}

}  // namespace troupe::internal
