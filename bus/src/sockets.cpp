#include "sockets.hpp"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <memory>
#include <system_error>

namespace troupe::bus::internal {
namespace {

constexpr int backlog = 1024;

result<std::vector<socket_address>> ask(const endpoint& where, int flags) {
  addrinfo wanted{};
  wanted.ai_family = AF_UNSPEC;
  wanted.ai_socktype = SOCK_STREAM;
  wanted.ai_flags = flags | AI_NUMERICSERV;
  std::string host = where.host;
  if (host == "localhost") host = "127.0.0.1";
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  if (host == "*") {
    host = "0.0.0.0";
    wanted.ai_family = AF_INET;
  }
  addrinfo* found = nullptr;
  const int failed = ::getaddrinfo(host.c_str(), std::to_string(where.port).c_str(), &wanted, &found);
  if (failed != 0) return error(errc::noconnection, where.text() + ": " + ::gai_strerror(failed));
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, &::freeaddrinfo);
  std::vector<socket_address> out;
  for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
    socket_address& address = out.emplace_back();
    address.size = one->ai_addrlen;
    std::copy_n(reinterpret_cast<const char*>(one->ai_addr), one->ai_addrlen, reinterpret_cast<char*>(&address.data));
  }
  return out;
}

}  // namespace

socket_address unix_address(const std::string& path) {
  socket_address out;
  auto* at = reinterpret_cast<sockaddr_un*>(&out.data);
  at->sun_family = AF_UNIX;
  path.copy(at->sun_path, sizeof at->sun_path - 1);
  out.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
  return out;
}

result<socket_address> numeric_address(const endpoint& where) {
  auto found = ask(where, AI_NUMERICHOST);
  if (!found) return found.error();
  return found->front();
}

result<std::vector<socket_address>> addresses_of(const endpoint& where) { return ask(where, 0); }

endpoint literal(const endpoint& where, const socket_address& address) {
  endpoint out = where;
  char host[NI_MAXHOST] = {};
  if (::getnameinfo(address.get(), address.size, host, sizeof host, nullptr, 0, NI_NUMERICHOST) == 0) out.host = host;
  return out;
}

endpoint numbers_of(const socket_address& address) {
  endpoint out = literal({.kind = endpoint::scheme::tcp}, address);
  if (constexpr std::string_view mapped = "::ffff:"; out.host.starts_with(mapped) && out.host.contains('.'))
    out.host.erase(0, mapped.size());
  if (address.data.ss_family == AF_INET) {
    out.port = ntohs(reinterpret_cast<const sockaddr_in*>(&address.data)->sin_port);
  } else if (address.data.ss_family == AF_INET6) {
    out.port = ntohs(reinterpret_cast<const sockaddr_in6*>(&address.data)->sin6_port);
  }
  return out;
}

std::string source_of(const socket_address& peer) {
  const auto* bytes = reinterpret_cast<const char*>(&peer.data);
  if (peer.data.ss_family == AF_INET) return {bytes + offsetof(sockaddr_in, sin_addr), 4};
  if (peer.data.ss_family != AF_INET6) return {};
  const auto* six = reinterpret_cast<const sockaddr_in6*>(&peer.data);
  const char* at = bytes + offsetof(sockaddr_in6, sin6_addr);
  if (IN6_IS_ADDR_V4MAPPED(&six->sin6_addr)) return {at + 12, 4};
  return {at, 8};  // one host has all of a /64
}

unique_fd make_socket(int family) { return unique_fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)); }

result<listening_socket> listen_at(const endpoint& where, const socket_address& at) {
  auto failed = [&where](const char* what) {
    return error(errc::io, where.text() + ": " + what + ": " + std::generic_category().message(errno));
  };
  listening_socket out{make_socket(at.data.ss_family), where};
  if (!out.socket) return failed("no socket");
  if (where.kind == endpoint::scheme::tcp) {
    const int on = 1;
    ::setsockopt(out.socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    const int off = 0;  // "::" is for IPv4 too, whatever the host's own default
    if (at.data.ss_family == AF_INET6) ::setsockopt(out.socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  }
  if (::bind(out.socket.get(), at.get(), at.size) != 0) return failed("cannot bind");
  if (::listen(out.socket.get(), backlog) != 0) return failed("cannot listen");
  if (where.kind != endpoint::scheme::tcp || where.port != 0) return out;
  socket_address bound;
  if (::getsockname(out.socket.get(), bound.get(), &bound.size) != 0) return failed("no port");
  out.where.port = numbers_of(bound).port;
  return out;
}

}  // namespace troupe::bus::internal
