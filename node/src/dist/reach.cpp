#include "dist/reach.hpp"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace troupe::internal {

namespace {

struct addresses {
  std::vector<std::string> v4, v6;
};

addresses of_interfaces() {
  addresses out;
  ifaddrs* raw = nullptr;
  if (getifaddrs(&raw) != 0) return out;
  const std::unique_ptr<ifaddrs, void (*)(ifaddrs*)> all(raw, &freeifaddrs);
  for (const ifaddrs* one = all.get(); one; one = one->ifa_next) {
    if (!one->ifa_addr || !(one->ifa_flags & IFF_UP) || (one->ifa_flags & IFF_LOOPBACK)) continue;
    char text[INET6_ADDRSTRLEN] = {};
    if (one->ifa_addr->sa_family == AF_INET) {
      const auto* v4 = reinterpret_cast<const sockaddr_in*>(one->ifa_addr);
      if (inet_ntop(AF_INET, &v4->sin_addr, text, sizeof text)) out.v4.emplace_back(text);
    } else if (one->ifa_addr->sa_family == AF_INET6) {
      const auto* v6 = reinterpret_cast<const sockaddr_in6*>(one->ifa_addr);
      if (IN6_IS_ADDR_LINKLOCAL(&v6->sin6_addr)) continue;
      if (inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof text)) out.v6.emplace_back(text);
    }
  }
  return out;
}

}  // namespace

bool is_wildcard(const bus::endpoint& where) noexcept {
  if (where.kind != bus::endpoint::scheme::tcp) return false;
  if (where.host == "*") return true;
  in_addr v4{};  // "0" is one, too
  if (inet_aton(where.host.c_str(), &v4) != 0) return v4.s_addr == INADDR_ANY;
  in6_addr v6{};
  if (inet_pton(AF_INET6, where.host.c_str(), &v6) != 1) return false;
  const std::span<const std::uint8_t, 4> last(v6.s6_addr + 12, 4);
  return IN6_IS_ADDR_UNSPECIFIED(&v6) ||
         (IN6_IS_ADDR_V4MAPPED(&v6) && std::ranges::all_of(last, [](std::uint8_t byte) { return byte == 0; }));
}

bool is_dialable_elsewhere(const bus::endpoint& where) noexcept {
  return where.kind != bus::endpoint::scheme::ipc && !is_wildcard(where) &&
         (where.kind != bus::endpoint::scheme::tcp || where.port != 0);
}

std::vector<bus::endpoint> with_interfaces(const std::vector<bus::endpoint>& listening) {
  std::vector<bus::endpoint> out;
  auto add = [&out](bus::endpoint one) {
    if (std::find(out.begin(), out.end(), one) == out.end()) out.push_back(std::move(one));
  };
  addresses here;
  if (std::any_of(listening.begin(), listening.end(), is_wildcard)) here = of_interfaces();
  for (const bus::endpoint& one : listening) {
    if (!is_wildcard(one)) {
      add(one);
      continue;
    }
    if (one.host.contains(':')) {
      for (const std::string& host : here.v6) add({one.kind, host, one.port});
    }
    for (const std::string& host : here.v4) add({one.kind, host, one.port});  // "::" takes both
  }
  return out;
}

}  // namespace troupe::internal
