// Which cookies are good for what, what is encrypted, and the keys that follow from a cookie.
#include <grp.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

#include <gtest/gtest.h>

#include <troupe/bus/security.hpp>
#include <troupe/bus/transport.hpp>

#include "crypto/key_pair.hpp"
#include "handshake.hpp"
#include "support/temp_dir.hpp"

namespace troupe::test {
namespace {

using bus::channel;

bus::endpoint at(std::string_view text) { return bus::endpoint::parse(text).value(); }

TEST(CookieStrength, IsJudgedByLengthAndKindOfCharacters) {
  auto random = seeded_random(5);
  for (int i = 0; i < 200; ++i) EXPECT_TRUE(bus::check_strength(bus::generate_cookie(*random)));
  struct one {
    std::string_view cookie;
    bool strong;
  };
  constexpr one cases[] = {
      {"", false},
      {"secret-token", false},
      {"a7b2c6d3e5f4g2h3i4j5k6l7", false},                    // 24 of base32
      {"a7b2c6d3e5f4g2h3i4j5k6l7m", false},                   // 25
      {"a7b2c6d3e5f4g2h3i4j5k6l7m2", true},                   // 26
      {"A7B2C6D3E5F4G2H3I4J5K6L7M2", true},                   // 26
      {"0123456789abcdef0123456789abcde", false},             // 31 of hexadecimal
      {"0123456789abcdef0123456789abcdef", true},             // 32
      {"3141592653589793238462643383279502884197", false},    // 40 decimal digits
      {"3141592653589793238462643383279502884197169", true},  // 43
      {"tcF3+gk9/Qz0WbYr5XhPA", false},                       // 21 of base64
      {"tcF3+gk9/Qz0WbYr5XhPAg", true},                       // 22
      {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false},
      {"ababababababababababababababababababababababcdcd", false},
  };
  for (const one& each : cases) {
    const auto strong = bus::check_strength(each.cookie);
    EXPECT_EQ(strong.has_value(), each.strong) << each.cookie;
    if (strong) continue;
    EXPECT_EQ(strong.error(), errc::not_allowed);
    EXPECT_TRUE(strong.error().text().contains("troupe keygen")) << strong.error().text();
    if (each.cookie.empty()) continue;
    EXPECT_FALSE(strong.error().text().contains(each.cookie));
  }
}

TEST(CookieStrength, AnyPrintableWordIsACookie) {
  EXPECT_TRUE(bus::check_cookie("x"));
  EXPECT_TRUE(bus::check_cookie("secret-token"));
  EXPECT_TRUE(bus::check_cookie(std::string(255, 'x')));
  for (const std::string& bad : {std::string(), std::string(256, 'x'), std::string("two words"), std::string("tab\t"),
                                 std::string("\xc3\xa4")}) {
    EXPECT_EQ(bus::check_cookie(bad).error(), errc::bad_argument) << bad;
  }
}

TEST(ChannelOver, FollowsFromTheEndpointAndTheSecrets) {
  const std::string strong = "a7b2c6d3e5f4g2h3i4j5k6l7m2";
  const std::string weak = "secret-token";
  struct one {
    const char* where;
    plain_text allowed;
    std::string cookie;
    std::optional<channel> wanted;  // nothing: refused
  };
  const one cases[] = {
      {"ipc:///run/x", plain_text::nowhere, weak, channel::plain},
      {"ipc:///run/x", plain_text::on_loopback, "", channel::plain},
      {"inproc://x", plain_text::nowhere, "", channel::plain},
      {"sim://x", plain_text::nowhere, "", channel::plain},
      {"tcp://127.0.0.1:4370", plain_text::on_loopback, weak, channel::plain},
      {"tcp://127.0.0.1:4370", plain_text::on_loopback, "", channel::plain},
      {"tcp://[::1]:4370", plain_text::anywhere, weak, channel::plain},
      {"tcp://localhost:4370", plain_text::nowhere, weak, channel::encrypted},
      {"tcp://127.0.0.1:4370", plain_text::nowhere, "", std::nullopt},
      {"tcp://0.0.0.0:4370", plain_text::on_loopback, strong, channel::encrypted},
      {"tcp://*:4370", plain_text::nowhere, strong, channel::encrypted},
      {"tcp://hostb:4370", plain_text::on_loopback, strong, channel::encrypted},
      {"tcp://192.0.2.1:4370", plain_text::anywhere, strong, channel::plain},
      {"tcp://192.0.2.1:4370", plain_text::on_loopback, weak, std::nullopt},
      {"tcp://192.0.2.1:4370", plain_text::nowhere, weak, std::nullopt},
      {"tcp://192.0.2.1:4370", plain_text::anywhere, weak, std::nullopt},
      {"tcp://192.0.2.1:4370", plain_text::anywhere, "", std::nullopt},
      {"tcp://127.evil.example:4370", plain_text::on_loopback, strong, channel::encrypted},
  };
  for (const one& each : cases) {
    const auto over = bus::channel_over(at(each.where), {.cookie = each.cookie, .plain_text_allowed = each.allowed});
    const std::string what = std::string(each.where) + " with \"" + each.cookie + "\"";
    ASSERT_EQ(over.has_value(), each.wanted.has_value()) << what;
    if (over) {
      EXPECT_EQ(*over, *each.wanted) << what;
      continue;
    }
    EXPECT_EQ(over.error(), errc::not_allowed) << what;
    EXPECT_TRUE(over.error().text().contains(each.where)) << over.error().text();
  }
}

std::string hex(const bus::channel_key& key) {
  std::string out;
  for (const std::byte b : key) {
    constexpr std::string_view digits = "0123456789abcdef";
    out += digits[static_cast<unsigned>(b) >> 4];
    out += digits[static_cast<unsigned>(b) & 15];
  }
  return out;
}

// The example of PROTOCOL.md, made with Python's hmac and hashlib and with libzmq's own zmq_curve_public.
TEST(ChannelKeys, AreThoseThatThePageNames) {
  const auto keys = bus::derive_channel_keys("k7x2c5q4w6m3a2z5k7x2c5q4w6m3a2z5k7x2c5q4w6m3a2z5k7x2");
  EXPECT_EQ(hex(keys.acceptor_public), "1045ff6b9136c00ebc6162c4469ca396389325fa7484d80aa271e323c57c754e");
  EXPECT_EQ(hex(keys.dialler_public), "39cffb7f5daf61a1a2771c2f718c5795fb157d220f158bd18fde10d1c66d8e20");
  const auto others = bus::derive_channel_keys("k7x2c5q4w6m3a2z5k7x2c5q4w6m3a2z5k7x2c5q4w6m3a2z5k7x3");
  EXPECT_NE(keys.acceptor_public, others.acceptor_public);
  EXPECT_NE(keys.dialler_public, others.dialler_public);
  EXPECT_NE(keys.acceptor_secret, keys.dialler_secret);
}

TEST(ChannelBinding, AProofHoldsOnlyOnTheChannelForWhichItWasMade) {
  namespace wire = bus::internal;
  wire::transcript plain{.hello = bytes(3), .challenge = bytes(4), .proof = bytes(5)};
  wire::transcript encrypted = plain;
  encrypted.over = channel::encrypted;
  EXPECT_NE(wire::prove_dialler("k", plain), wire::prove_dialler("k", encrypted));
  EXPECT_NE(wire::prove_acceptor("k", plain), wire::prove_acceptor("k", encrypted));
  // What one side proves with its part for the channel is no other proof on a plain one.
  EXPECT_NE(wire::prove_acceptor("k", plain), wire::prove_dialler("k", encrypted));
}

TEST(SaveCookie, NeverReplacesAFile) {
  temp_dir folder;
  const auto path = folder / "cookie";
  ASSERT_TRUE(bus::save_cookie(path, "one-cookie"));
  struct stat about{};
  ASSERT_EQ(::stat(path.c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777, 0600u);
  EXPECT_EQ(bus::load_cookie({.file = path.string()})->value, "one-cookie");
  EXPECT_EQ(bus::save_cookie(path, "another").error(), errc::name_taken);
  EXPECT_EQ(bus::load_cookie({.file = path.string()})->value, "one-cookie");
  std::filesystem::create_symlink(folder / "nowhere", folder / "link");
  EXPECT_EQ(bus::save_cookie(folder / "link", "another").error(), errc::name_taken);
  EXPECT_FALSE(std::filesystem::exists(folder / "nowhere"));
  EXPECT_EQ(bus::save_cookie(folder / "missing" / "cookie", "another").error(), errc::io);
}

// As Kubernetes mounts a secret: links into a folder that changes its name, 0440 with a group.
TEST(Cookie, AMountedFileIsTakenWhenNoStrangerReadsIt) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give files away";
  const test::temp_dir folder;
  ::chmod(folder.str().c_str(), 0755);
  folder.write("..2026/cookie", "a-cookie\n");
  const auto file = folder / "..2026/cookie";
  std::filesystem::create_symlink("..2026", folder / "..data");
  std::filesystem::create_symlink("..data/cookie", folder / "cookie");
  const auto read_as = [&](uid_t user, gid_t extra) {
    int ends[2];
    if (::pipe(ends) != 0) return std::string("no pipe");
    const pid_t child = ::fork();
    if (child == 0) {
      const bool ready = ::setgroups(1, &extra) == 0 && ::setgid(user) == 0 && ::setuid(user) == 0;
      auto got = bus::load_cookie({.file = (folder / "cookie").string()});
      const std::string said = !ready ? "not ready" : got ? "read " + got->value : got.error().text();
      (void)!::write(ends[1], said.data(), said.size());
      std::_Exit(0);
    }
    ::close(ends[1]);
    std::string out(4096, '\0');
    out.resize(static_cast<std::size_t>(std::max<ssize_t>(::read(ends[0], out.data(), out.size()), 0)));
    ::close(ends[0]);
    ::waitpid(child, nullptr, 0);
    return out;
  };
  constexpr uid_t user = 54'323;
  constexpr gid_t group = 54'324;
  const auto mounted = [&](uid_t owner, gid_t of, mode_t mode) {
    ASSERT_EQ(::chown(file.c_str(), owner, of), 0);
    ASSERT_EQ(::chmod(file.c_str(), mode), 0);
  };
  mounted(0, group, 0440);
  EXPECT_EQ(read_as(user, group), "read a-cookie");
  mounted(user, user, 0400);
  EXPECT_EQ(read_as(user, group), "read a-cookie");
  mounted(0, group, 0444);
  EXPECT_NE(read_as(user, group).find("mount it with mode 0400, or with 0440"), std::string::npos)
      << read_as(user, group);
  mounted(0, group, 0460);  // who may write it may choose our cookie
  EXPECT_NE(read_as(user, group).find("can be read by others"), std::string::npos);
  mounted(user, group, 0440);  // not root's doing
  EXPECT_NE(read_as(user, group).find("can be read by others"), std::string::npos);
  mounted(user + 1, group, 0440);
  EXPECT_NE(read_as(user, group).find("belongs to another user"), std::string::npos);
  mounted(0, group, 0440);
  ASSERT_EQ(::lchown((folder / "cookie").c_str(), user + 1, user + 1), 0);
  EXPECT_NE(read_as(user, group).find("another user's symbolic link"), std::string::npos) << read_as(user, group);
}

}  // namespace
}  // namespace troupe::test
