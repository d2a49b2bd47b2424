#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include <troupe/bus/security.hpp>

#include "private_file.hpp"

namespace troupe::bus {
namespace {

constexpr std::size_t shortest = 16;
constexpr std::size_t longest = 255;

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
  auto content = troupe::internal::read_secret(path, 4096);
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
  if (cookie.size() < shortest || cookie.size() > longest) {
    return error(errc::bad_argument, "a cookie has " + std::to_string(shortest) + " to " + std::to_string(longest) +
                                         " characters, this one has " + std::to_string(cookie.size()));
  }
  for (const char c : cookie) {
    if (c <= ' ' || c > '~') return error(errc::bad_argument, "a cookie is printable ASCII without blanks");
  }
  return {};
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
  auto made = troupe::internal::create_file(path, generate_cookie(random) + "\n");
  if (!made && made.error() != errc::name_taken) return made.error();
  return load_cookie(sources);  // somebody else's, if they were quicker
}

}  // namespace troupe::bus
