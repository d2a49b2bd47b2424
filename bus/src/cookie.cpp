#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include <troupe/bus/security.hpp>
#include <troupe/bus/transport.hpp>

#include "crypto/key_pair.hpp"
#include "private_file.hpp"

namespace troupe::bus {
namespace {

constexpr std::size_t longest = 255;
constexpr std::size_t strong_bits = 128;

// How many random bits one of these characters may stand for, judged by the narrowest alphabet that has them all:
// decimal, hexadecimal, letters of one case with digits (base32), anything (base64). Never more than it can be, so a
// cookie that really was drawn with 128 bits is not refused.
std::size_t bits_each(std::string_view cookie) {
  const auto all = [&](std::string_view set) { return cookie.find_first_not_of(set) == std::string_view::npos; };
  if (all("0123456789")) return 3;
  if (all("0123456789abcdef") || all("0123456789ABCDEF")) return 4;
  if (all("0123456789abcdefghijklmnopqrstuvwxyz") || all("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ")) return 5;
  return 6;
}

std::size_t different_characters(std::string_view cookie) {
  std::string sorted(cookie);
  std::ranges::sort(sorted);
  return static_cast<std::size_t>(std::ranges::unique(sorted).begin() - sorted.begin());
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view blanks = " \t\r\n";
  const auto first = text.find_first_not_of(blanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

std::string home_file(const std::string& home) { return home + "/.troupe/cookie"; }

result<cookie> checked(std::string_view text, std::string source) {
  const std::string_view value = trimmed(text);
  if (auto legal = check_cookie(value); !legal) {
    return error(legal.error().code(), source + ": " + legal.error().text());
  }
  return cookie{std::string(value), std::move(source)};
}

result<cookie> from_file(const std::string& path) {
  auto content = troupe::internal::read_given_secret(path, 4096);
  if (!content) return content.error();
  return checked(*content, path);
}

}  // namespace

std::string generate_cookie(random_source& random) {
  std::string secret(32, '\0');
  random.fill(std::as_writable_bytes(std::span(secret)));
  return troupe::internal::base32(secret);
}

result<void> check_cookie(std::string_view cookie) {
  if (cookie.empty() || cookie.size() > longest) {
    return error(errc::bad_argument, "a cookie has 1 to " + std::to_string(longest) + " characters, this one has " +
                                         std::to_string(cookie.size()));
  }
  for (const char c : cookie) {
    if (c <= ' ' || c > '~') return error(errc::bad_argument, "a cookie is printable ASCII without blanks");
  }
  return {};
}

result<void> check_strength(std::string_view cookie) {
  constexpr std::string_view remedy = "`troupe keygen` makes one, and all nodes of the cluster are given it";
  if (cookie.empty()) return error(errc::not_allowed, "a cookie is needed there: " + std::string(remedy));
  const std::size_t bits = cookie.size() * bits_each(cookie);
  // Six different ones: of 128 bits drawn at random, in any alphabet, less than one in 2^30 has fewer.
  if (bits >= strong_bits && different_characters(cookie) >= 6) return {};
  return error(errc::not_allowed, "a cookie of at least " + std::to_string(strong_bits) +
                                      " random bits is needed there, and this one of " + std::to_string(cookie.size()) +
                                      " characters cannot hold them: " + std::string(remedy));
}

result<channel> channel_over(const endpoint& where, const security& with) {
  if (where.kind != endpoint::scheme::tcp) return channel::plain;
  const bool local = where.is_local();
  if (!local) {
    if (auto strong = check_strength(with.cookie); !strong) {
      return error(strong.error().code(), where.text() + " is off loopback: " + strong.error().text());
    }
  }
  const bool encrypted =
      with.plain_text_allowed == plain_text::nowhere || (with.plain_text_allowed == plain_text::on_loopback && !local);
  if (!encrypted) return channel::plain;
  if (with.cookie.empty()) {
    return error(errc::not_allowed,
                 where.text() + " is encrypted by keys that come from the cookie, and there is none");
  }
  return channel::encrypted;
}

channel_keys derive_channel_keys(std::string_view cookie) {
  const auto acceptor = troupe::internal::derive_key_pair(cookie, "troupe 1 curve acceptor");
  const auto dialler = troupe::internal::derive_key_pair(cookie, "troupe 1 curve dialler");
  return {.acceptor_public = acceptor.open,
          .acceptor_secret = acceptor.secret,
          .dialler_public = dialler.open,
          .dialler_secret = dialler.secret};
}

result<cookie> load_cookie(const cookie_sources& sources) {
  if (sources.file) {
    auto loaded = from_file(*sources.file);
    // not_found would mean that there is no cookie at all; one was asked for by name.
    if (!loaded && loaded.error() == errc::not_found) return error(errc::io, loaded.error().text());
    return loaded;
  }
  if (sources.environment) return checked(*sources.environment, "TROUPE_COOKIE");
  if (!sources.home) return error(errc::not_found, "no cookie: neither --cookie-file nor TROUPE_COOKIE, and no HOME");
  auto loaded = from_file(home_file(*sources.home));
  if (!loaded && loaded.error() == errc::not_found) {
    return error(errc::not_found, "no cookie: neither --cookie-file nor TROUPE_COOKIE, and " + loaded.error().text());
  }
  return loaded;
}

cookie_sources cookie_environment(std::optional<std::string> file) {
  cookie_sources out{.file = std::move(file)};
  if (const char* text = std::getenv("TROUPE_COOKIE"); text != nullptr && *text != '\0') out.environment = text;
  if (const char* text = std::getenv("HOME"); text != nullptr && *text == '/') out.home = text;
  return out;
}

result<cookie> load_or_create_cookie(const cookie_sources& sources, random_source& random) {
  auto loaded = load_cookie(sources);
  if (loaded || loaded.error() != errc::not_found || !sources.home) return loaded;
  const std::filesystem::path path = home_file(*sources.home);
  if (::mkdir(path.parent_path().c_str(), 0700) != 0 && errno != EEXIST) {
    return troupe::internal::system_failure("make", path.parent_path());
  }
  auto made = save_cookie(path, generate_cookie(random));
  if (!made && made.error() != errc::name_taken) return made.error();
  return load_cookie(sources);  // somebody else's, if they were quicker
}

result<void> save_cookie(const std::filesystem::path& path, std::string_view cookie) {
  return troupe::internal::create_file(path, std::string(cookie) + "\n");
}

}  // namespace troupe::bus
