#include <troupe/bus/endpoint.hpp>

#include <charconv>

#include "quoted.hpp"

namespace troupe::bus {
namespace {

using troupe::internal::quoted;

error bad(std::string_view text, std::string_view why) {
  return error(errc::bad_argument, "endpoint " + quoted(text) + ": " + std::string(why));
}

constexpr std::string_view prefix_of(endpoint::scheme kind) noexcept {
  switch (kind) {
    case endpoint::scheme::ipc: return "ipc://";
    case endpoint::scheme::tcp: return "tcp://";
    case endpoint::scheme::inproc: return "inproc://";
    case endpoint::scheme::sim: return "sim://";
  }
  return "";
}

bool legal(std::string_view text) noexcept {
  for (const char c : text) {
    if (c <= ' ' || c > '~') return false;
  }
  return !text.empty();
}

result<endpoint> parse_tcp(std::string_view text, std::string_view rest) {
  const auto colon = rest.rfind(':');
  if (colon == std::string_view::npos) return bad(text, "a port is missing: tcp://HOST:PORT");
  std::string_view host = rest.substr(0, colon);
  const std::string_view port = rest.substr(colon + 1);
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  if (!legal(host)) return bad(text, "a host is missing: tcp://HOST:PORT");
  if (host.find_first_of("/;[]") != std::string_view::npos) return bad(text, "no legal host");
  if (!bracketed && host.contains(':')) return bad(text, "an IPv6 address stands in brackets: tcp://[::1]:PORT");
  endpoint out{.kind = endpoint::scheme::tcp, .host = std::string(host)};
  if (port == "*") return out;
  const auto [end, failed] = std::from_chars(port.data(), port.data() + port.size(), out.port);
  if (failed != std::errc{} || end != port.data() + port.size() || port.empty()) {
    return bad(text, "the port is a number up to 65535, or * for any free one");
  }
  return out;
}

}  // namespace

result<endpoint> endpoint::parse(std::string_view text) {
  for (const scheme kind : {scheme::ipc, scheme::tcp, scheme::inproc, scheme::sim}) {
    const std::string_view prefix = prefix_of(kind);
    if (!text.starts_with(prefix)) continue;
    const std::string_view rest = text.substr(prefix.size());
    if (kind == scheme::tcp) return parse_tcp(text, rest);
    if (kind == scheme::ipc) {
      if (!rest.starts_with('/')) return bad(text, "the path must be absolute: ipc:///PATH");
      if (rest.find('\0') != std::string_view::npos) return bad(text, "no legal path");
      if (rest.size() > longest_ipc_path) {
        return bad(text, "a socket's path has at most " + std::to_string(longest_ipc_path) + " bytes, this one " +
                             std::to_string(rest.size()));
      }
    } else if (!legal(rest)) {
      return bad(text, "the name is missing or has blanks");
    }
    return endpoint{.kind = kind, .host = std::string(rest)};
  }
  return bad(text, "it begins with ipc://, tcp://, inproc:// or sim://");
}

std::string endpoint::text() const {
  std::string out(prefix_of(kind));
  const bool bracketed = kind == scheme::tcp && host.contains(':');
  if (bracketed) out += '[';
  out += host;
  if (bracketed) out += ']';
  if (kind == scheme::tcp) out += ':' + (port == 0 ? std::string("*") : std::to_string(port));
  return out;
}

bool endpoint::is_local() const noexcept {
  if (kind != scheme::tcp || host == "localhost" || host == "::1") return true;
  if (!host.starts_with("127.")) return false;
  int dots = 0;  // "127.evil.example" is a name, not an address
  for (const char c : host) {
    if (c == '.') ++dots;
    else if (c < '0' || c > '9') return false;
  }
  return dots == 3;
}

}  // namespace troupe::bus
