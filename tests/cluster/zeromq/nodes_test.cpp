// Nodes that libzmq carries, on both sides and beside one that carries itself: real programs over real sockets.
#include <fstream>
#include <set>

#include <troupe/bus/run_directory.hpp>
#include <troupe/node.hpp>
#include <troupe/rpc.hpp>

#include "cluster/observer.hpp"

namespace troupe::test {

using namespace std::chrono_literals;

struct Bulk {  // as the sample pours it
  bytes content;
  TROUPE_MESSAGE(Bulk, "bulk", content)
};

// Who carries this program's node, and who the samples'.
struct sides {
  transport_kind here, there;
};
std::string word_of(transport_kind kind) { return kind == transport_kind::zeromq ? "zeromq" : "direct"; }
std::string name_of(const testing::TestParamInfo<sides>& one) {
  return word_of(one.param.here) + "_and_" + word_of(one.param.there);
}

// Has libzmq a thread in that process?
bool runs_libzmq(const std::string& process) {
  for (const auto& thread : std::filesystem::directory_iterator("/proc/" + process + "/task")) {
    std::string name;
    std::getline(std::ifstream(thread.path() / "comm"), name);
    if (name.starts_with("ZMQbg")) return true;
  }
  return false;
}

class ZeromqNodes : public ObserverTest, public testing::WithParamInterface<sides> {
 protected:
  void prepare(node_options& options) override { options.transport = GetParam().here; }
  std::unique_ptr<program> start(const std::string& name, std::vector<std::string> more = {}) {
    more.insert(more.end(), {"--transport", word_of(GetParam().there)});
    auto made = start_node(name, std::move(more));
    const bool ready = made->wait_output("ready");
    EXPECT_TRUE(ready) << made->out() << made->err();
    return made;
  }
  template <class F>
  auto run(F body) {
    return door_->run(60s, std::move(body)).or_exit();
  }
  bool answers(const std::string& name) {
    return run([name](process& self) -> task<bool> {
      auto number = co_await rpc::call<std::int64_t>(self, name, "sample.add_one", 1).within(5s);
      co_return number && *number == 2;
    });
  }
};

INSTANTIATE_TEST_SUITE_P(Sides, ZeromqNodes,
                         testing::Values(sides{transport_kind::zeromq, transport_kind::zeromq},
                                         sides{transport_kind::direct, transport_kind::zeromq},
                                         sides{transport_kind::zeromq, transport_kind::direct}),
                         name_of);

TEST_P(ZeromqNodes, CallSendAndPourBothWays) {
  auto other = start("sample");
  ASSERT_TRUE(answers("sample@localhost"));
  EXPECT_EQ(runs_libzmq("self"), GetParam().here == transport_kind::zeromq);
  EXPECT_EQ(runs_libzmq(std::to_string(other->pid())), GetParam().there == transport_kind::zeromq);

  auto echo = [](process& self) -> task<> {
    for (;;) {
      auto got = co_await self.receive(wait_forever);
      if (got->is_call()) self.reply(*got, value("pong"));
    }
  };
  spawn_options named;
  named.name = "echo";
  spawn(*here_, std::move(named), echo).or_exit();
  run([](process& self) -> task<> {
    auto trips =
        co_await rpc::call<std::int64_t>(self, "sample@localhost", "sample.longest_trip", "observer@localhost", 200)
            .within(30s);
    EXPECT_TRUE(trips) << trips.error().message();
    const auto made = co_await spawn_on(self, "sample@localhost", "sample.pour", self.id(), 5'000'000).monitored();
    EXPECT_TRUE(made);
    auto bulk = co_await self.receive<Bulk>(30s);
    EXPECT_TRUE(bulk && bulk->content.size() == 5'000'000);
    auto small = co_await self.receive(30s);
    EXPECT_TRUE(small && small->to_value() == value("small"));
    EXPECT_TRUE(co_await self.receive<down>(30s));
    const value long_text(std::string(3'000'000, 'x'));  // the same way there and back
    auto echoed = co_await rpc::call<value>(self, "sample@localhost", "sample.echo", long_text).within(30s);
    EXPECT_TRUE(echoed && *echoed == long_text);
  });
}

TEST_P(ZeromqNodes, AKilledNodeIsDownAtOnceAndItsNextLifeIsReached) {
  auto other = start("sample");
  ASSERT_TRUE(answers("sample@localhost"));
  const pid_t os_pid = other->pid();
  const duration took = run([os_pid](process& self) -> task<duration> {
    std::set<ref> watching;
    for (int i = 0; i < 100; ++i) watching.insert(self.monitor(address("sample.counter", "sample@localhost")));
    auto number = co_await rpc::call<std::int64_t>(self, "sample@localhost", "sample.add_one", 1);
    EXPECT_TRUE(number);
    monitor_nodes(self, true);
    const time_point killed = self.now();
    ::kill(os_pid, SIGKILL);
    while (!watching.empty()) {
      auto told = co_await self.receive<down>(20s);
      EXPECT_TRUE(told);
      if (!told) break;
      EXPECT_EQ(watching.erase(told->monitor), 1u);
      EXPECT_EQ(told->reason, exit_reason::noconnection());
    }
    auto event = co_await self.receive(20s);
    EXPECT_EQ(event ? event->to_value().items()->front() : value(), value("nodedown"));
    monitor_nodes(self, false);
    co_return self.now() - killed;
  });
  EXPECT_LT(took, 2s);  // a tick or a timeout would take longer
  EXPECT_EQ(other->wait_exit(), 128 + SIGKILL);
  auto again = start("sample");
  EXPECT_TRUE(wait_until([&] { return answers("sample@localhost"); }));
}

TEST_P(ZeromqNodes, ThreeFormAMeshAndToolsGetIn) {
  auto one = start("one", {"--peer", "observer"});
  auto two = start("two", {"--peer", "observer"});
  EXPECT_TRUE(wait_until([&] { return nodes(*here_).size() == 2; }));
  const auto sees = [&](const std::string& name) {
    return run([name](process& self) -> task<std::size_t> {
      auto about = co_await rpc::call<value>(self, name, "troupe.nodes").within(10s);
      co_return about && about->items() ? about->items()->size() : 0;
    });
  };
  EXPECT_TRUE(wait_until([&] { return sees("one@localhost") == 2 && sees("two@localhost") == 2; }));
  for (const char* kind : {"direct", "zeromq"}) {
    EXPECT_EQ(tool({"ping", "one", "--transport", kind}).exit_code, 0);
    const outcome got = tool({"rpc", "two", "sample.add_one", "41", "--transport", kind});
    EXPECT_EQ(got.out, "42\n") << got.err;
  }
  EXPECT_EQ(tool({"ping", "one", "--transport", "pigeon"}).exit_code, 2);
  two->signal(SIGTERM);
  EXPECT_EQ(two->wait_exit(), 0);
  EXPECT_TRUE(wait_until([&] { return nodes(*here_).size() == 1; }));
}

// By tcp that is encrypted, since the observer does not find the sample on this host.
class ZeromqEncrypted : public ZeromqNodes {
 protected:
  void prepare(node_options& options) override {
    ZeromqNodes::prepare(options);
    options.cookie = strong_cookie;
    options.plain_text = plain_text::nowhere;
    options.run_directory = elsewhere_.str();
    options.peers = {"sample@localhost=" + address_of("sample@localhost").text()};
  }
  void SetUp() override {
    if (!tool_path().empty()) {
      sample_ = start("sample",
                      {"--cookie", strong_cookie, "--listen", "tcp://127.0.0.1:*", "--set", "node.encryption=always"});
    }
    ZeromqNodes::SetUp();
  }
  bus::endpoint address_of(const std::string& name) const {
    for (const bus::endpoint& where : bus::run_directory::open(run_.str()).or_exit().lookup(name).or_exit().endpoints) {
      if (where.kind == bus::endpoint::scheme::tcp) return where;
    }
    return {};
  }

  static constexpr const char* strong_cookie = "a7b2c6d3e5f4g2h3i4j5k6l7m2n3o4p5";
  temp_dir elsewhere_;
  std::unique_ptr<program> sample_;
};

INSTANTIATE_TEST_SUITE_P(Sides, ZeromqEncrypted,
                         testing::Values(sides{transport_kind::zeromq, transport_kind::zeromq},
                                         sides{transport_kind::direct, transport_kind::zeromq},
                                         sides{transport_kind::zeromq, transport_kind::direct}),
                         name_of);

TEST_P(ZeromqEncrypted, IsConnectedByItselfAndAnswers) {
  EXPECT_TRUE(wait_until([&] { return nodes(*here_).size() == 1; }));
  EXPECT_TRUE(answers("sample@localhost"));
  EXPECT_NE(sample_->out().find("an endpoint is encrypted"), std::string::npos) << sample_->out();
}

}  // namespace troupe::test
