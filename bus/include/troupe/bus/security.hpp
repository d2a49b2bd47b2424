#pragma once
// Who a node says it is, and the secrets by which nodes and tools trust each other (bus/DESIGN.md, Trust).
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <troupe/bus/endpoint.hpp>
#include <troupe/error.hpp>
#include <troupe/plain_text.hpp>
#include <troupe/time.hpp>

namespace troupe::bus {

// Told to the other side in the handshake.
struct identity {
  std::string name;  // "part@host"
  std::uint64_t creation = 0;
  bool hidden = false;
  bool tool = false;  // a tool is hidden, never listens, and ticks every second
  std::string application;
  std::vector<std::string> features;  // names of what this side can do
  std::vector<std::string> needs;     // names without which it refuses: errc::unsupported
};

// A secret that is empty proves nothing and admits nobody.
struct security {
  std::string cookie;       // members prove it, and the keys of encrypted connections come from it
  std::string control_key;  // of this life of this node: a tool on the host may prove it instead
  plain_text plain_text_allowed = plain_text::on_loopback;
};

// Which secret a dialler proves.
enum class secret : std::uint8_t { cookie, control_key };

enum class channel : std::uint8_t { plain, encrypted };
// How this side talks over `where`, which it listens to or dials: one rule, so that both sides choose the same. Only
// tcp is ever encrypted. errc::not_allowed says what is missing: off loopback, encrypted or not, a cookie that is
// strong.
[[nodiscard]] result<channel> channel_over(const endpoint& where, const security& with);

// 32 random bytes in base32 (RFC 4648, lower case, no padding): 52 characters.
[[nodiscard]] std::string generate_cookie(random_source& random);

// Legal: 1..255 printable ASCII characters without blanks.
[[nodiscard]] result<void> check_cookie(std::string_view cookie);
// Strong: so long, for the kind of its characters, that it may have been drawn with 128 random bits. On one host a word
// will do; off it whoever records a handshake can try words. errc::not_allowed names what makes a strong one.
[[nodiscard]] result<void> check_strength(std::string_view cookie);

struct cookie_sources {
  std::optional<std::string> file;         // --cookie-file
  std::optional<std::string> environment;  // TROUPE_COOKIE
  std::optional<std::string> home;         // HOME: <home>/.troupe/cookie
};
struct cookie {
  std::string value;
  std::string source;  // "TROUPE_COOKIE" or the path of the file; safe to log
};

// The first source that is given wins; a file must be a regular one, owned by this user (or root) and closed to group
// and others: errc::not_allowed says `chmod 600 FILE`. errc::not_found when there is none at all. A blank end is cut
// off.
[[nodiscard]] result<cookie> load_cookie(const cookie_sources& sources);
// The sources of this program's environment; `file` as given on its command line.
[[nodiscard]] cookie_sources cookie_environment(std::optional<std::string> file = {});
// load_cookie, and when there is none at all: a new one is written to <home>/.troupe/cookie, 0600 in a folder 0700. Two
// programs that do so at once agree.
[[nodiscard]] result<cookie> load_or_create_cookie(const cookie_sources& sources, random_source& random);
// A new file, 0600, with a line break at its end. errc::name_taken when there is one: it is never replaced.
[[nodiscard]] result<void> save_cookie(const std::filesystem::path& path, std::string_view cookie);

}  // namespace troupe::bus
