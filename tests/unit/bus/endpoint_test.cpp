#include <gtest/gtest.h>

#include <troupe/bus/endpoint.hpp>

namespace troupe::test {
namespace {

using bus::endpoint;

TEST(Endpoint, ReadsBackWhatItPrints) {
  for (const std::string text : {"ipc:///run/troupe/a.sock", "tcp://127.0.0.1:4369", "tcp://127.0.0.1:*",
                                 "tcp://[::1]:1", "tcp://host.example:65535", "inproc://x", "sim://a/1"}) {
    const auto parsed = endpoint::parse(text);
    ASSERT_TRUE(parsed) << text << ": " << parsed.error().message();
    EXPECT_EQ(parsed->text(), text);
  }
  EXPECT_EQ(endpoint::parse("tcp://h:0")->text(), "tcp://h:*");
}

TEST(Endpoint, RefusesWithAReason) {
  for (const std::string text :
       {"", "x", "udp://h:1", "ipc://relative", "ipc://", "tcp://", "tcp://h", "tcp://:1", "tcp://h:", "tcp://h:70000",
        "tcp://h:-1", "tcp://h:1x", "tcp://::1:5", "tcp://a/b:1", "inproc://", "inproc://a b"}) {
    const auto parsed = endpoint::parse(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error(), errc::bad_argument);
  }
  EXPECT_TRUE(endpoint::parse("ipc:///" + std::string(106, 'x')));
  EXPECT_TRUE(endpoint::parse("ipc:///" + std::string(107, 'x')).error().text().contains("107"));
}

TEST(Endpoint, KnowsLoopback) {
  const auto local = [](const char* text) { return endpoint::parse(text)->is_local(); };
  EXPECT_TRUE(local("tcp://127.0.0.1:1") && local("tcp://127.3.4.5:1") && local("tcp://[::1]:1"));
  EXPECT_TRUE(local("tcp://localhost:1") && local("ipc:///x") && local("inproc://x") && local("sim://x"));
  EXPECT_FALSE(local("tcp://0.0.0.0:1") || local("tcp://*:1") || local("tcp://127.evil.example:1"));
  EXPECT_FALSE(local("tcp://10.0.0.1:1") || local("tcp://127.0.0.1.evil:1"));
}

}  // namespace
}  // namespace troupe::test
