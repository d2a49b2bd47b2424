// Listeners in a program that has no descriptor left, or few.
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>

#include <gtest/gtest.h>

#include "unit/bus/hub_fixture.hpp"
#include "unit/bus/raw_zmtp.hpp"

namespace troupe::test {
namespace {

using namespace std::chrono_literals;

#ifndef TROUPE_SANITIZED  // where no descriptor is free UBSan calls every object bad: it looks at one through a pipe
// As long as it lives no descriptor can be made.
class no_descriptors {
 public:
  no_descriptors() {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    const int lowest_free = ::dup(STDIN_FILENO);
    ::close(lowest_free);
    rlimit none = before_;
    none.rlim_cur = static_cast<rlim_t>(lowest_free);
    EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  }
  ~no_descriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  no_descriptors(const no_descriptors&) = delete;
  no_descriptors& operator=(const no_descriptors&) = delete;

 private:
  rlimit before_{};
};

duration cpu_time() {
  timespec used{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return std::chrono::seconds(used.tv_sec) + std::chrono::nanoseconds(used.tv_nsec);
}

// Whoever libzmq lets in by a descriptor that it catches is greeted first, and hung up on for saying nothing.
bool is_hung_up(const tcp_socket& one) {
  char greeting[64];
  ssize_t got = 0;
  do {
    got = ::recv(one.fd(), greeting, sizeof greeting, MSG_DONTWAIT);
  } while (got > 0);
  return got == 0 || errno != EAGAIN;
}

class CurveDescriptors : public testing::TestWithParam<pairing> {
 protected:
  bus::hub_options options(std::string_view name) {
    auto out = world_.options(name, ++creations_, acceptor_of(GetParam()));
    out.security.cookie = "a7b2c6d3e5f4g2h3i4j5k6l7m2n3o4p5";
    out.security.plain_text_allowed = plain_text::nowhere;
    return out;
  }

  world world_{form::tcp};
  temp_dir folder_;
  std::uint64_t creations_ = 0;
};

INSTANTIATE_TEST_SUITE_P(By, CurveDescriptors, testing::Values(pairing::direct, pairing::zeromq),
                         [](const auto& info) { return to_string(info.param); });

TEST_P(CurveDescriptors, WhereNoneIsFreeItDoesNotSpinToolsGetInAndItRecovers) {
  test_node a(options("a@host"));
  const bus::endpoint far = a.listen(world_.address());
  // With libzmq nobody may dial by ipc now: its listener aborts the program.
  const bool tools = GetParam() == pairing::direct;
  const bus::endpoint near = a.listen("ipc://" + (folder_ / "a").string());
  std::vector<tcp_socket> waiting(60);
  tcp_socket tool(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  {
    const no_descriptors none;
    for (const tcp_socket& one : waiting) ASSERT_TRUE(one.connect(far.port));
    // Ours leaves who waits to the kernel.
    if (!tools) {
      EXPECT_TRUE(world_.until([&] { return std::ranges::all_of(waiting, is_hung_up); }));
    }
    EXPECT_TRUE(world_.until([&] { return a.drops("no_descriptor") > 0; }));
    EXPECT_TRUE(a.log.has("a connection cannot be accepted: no descriptor is free"));
    const duration before = cpu_time();
    const auto end = std::chrono::steady_clock::now() + 500ms;
    EXPECT_TRUE(world_.until([&] { return std::chrono::steady_clock::now() >= end; }));
    EXPECT_LT(cpu_time() - before, 200ms);
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    near.host.copy(at.sun_path, sizeof at.sun_path - 1);
    if (tools) {
      ASSERT_EQ(::connect(tool.fd(), reinterpret_cast<const sockaddr*>(&at), sizeof at), 0);
      EXPECT_TRUE(raw_zmtp(std::move(tool)).greet());
    }
  }
  test_node friendly(options("friend@host"));
  friendly.hub->dial(far);
  EXPECT_TRUE(world_.until([&] { return friendly.events.first() != 0 && !a.events.ups().empty(); }));
}

// libzmq lets in whoever comes: some descriptors are left all the same, and who waited gets in later.
TEST(ZeromqDescriptors, StrangersLeaveSome) {
  world here({form::tcp, pairing::zeromq});
  test_node a(here.options("a@host"));
  const bus::endpoint far = a.listen(here.address());
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const int lowest_free = ::dup(STDIN_FILENO);
  ::close(lowest_free);
  rlimit few = before;
  few.rlim_cur = static_cast<rlim_t>(lowest_free) + 1200;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
  {
    std::vector<tcp_socket> strangers(580);  // which take twice as many, both ends being here
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(far.port);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (const tcp_socket& one : strangers) {
      ::fcntl(one.fd(), F_SETFL, O_NONBLOCK);
      ::connect(one.fd(), reinterpret_cast<const sockaddr*>(&at), sizeof at);
      usleep(100);
    }
    EXPECT_TRUE(here.until([&] { return a.drops("no_descriptor") > 0; }));
    const int still_free = ::dup(STDIN_FILENO);
    EXPECT_GE(still_free, 0);
    ::close(still_free);
  }
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  test_node b(here.options("b@host"));
  b.hub->dial(far);
  EXPECT_TRUE(here.until([&] { return b.events.first() != 0; }));
}
#endif

}  // namespace
}  // namespace troupe::test
