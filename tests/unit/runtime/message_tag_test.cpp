// The tag of a message, read where it lies: the same of a value and of its bytes, and never beyond them.
#include "runtime_support.hpp"

#include <vector>

namespace troupe::test {
namespace {

using namespace std::chrono_literals;
using detail::signal;

message as_bytes(const value& content, std::size_t most = SIZE_MAX) {
  wire_buffer out;
  wire_writer(out)->put_value(content);
  const std::span<const std::byte> all = out.data();
  return message(detail::make_wire_envelope(signal::message, all.first(std::min(most, all.size()))));
}

TEST(MessageTag, IsTheSameOfAValueAndOfItsBytes) {
  const std::string s8(200, 'a'), s16(70'000 / 2, 'b'), s32(70'000, 'c');
  list l16(20, value(1)), l32(70'000, value(1));
  l16.front() = l32.front() = value("many");
  const std::vector<std::pair<value, std::string>> cases{{list_of({"push", 1}), "push"},
                                                         {list_of({"push", map_of({{"number", 5}})}), "push"},
                                                         {list_of({s8, 1}), s8},
                                                         {list_of({s16, 1}), s16},
                                                         {list_of({s32, 1}), s32},
                                                         {value(l16), "many"},
                                                         {value(l32), "many"},
                                                         {value("word"), "word"},
                                                         {list_of({""}), ""},
                                                         {value(list()), ""},
                                                         {value(5), ""},
                                                         {value(), ""},
                                                         {list_of({1, "push"}), ""},
                                                         {map_of({{"push", 1}}), ""},
                                                         {list_of({list_of({"x"})}), ""}};
  for (const auto& [content, expected] : cases) {
    EXPECT_EQ(message(value(content)).tag(), expected) << content.print(3, 40);
    EXPECT_EQ(as_bytes(content).tag(), expected) << content.print(3, 40);
  }
  EXPECT_EQ(message(down()).tag(), "DOWN");
  EXPECT_EQ(message(exit_message()).tag(), "EXIT");
  EXPECT_EQ(message(Pong{1}).tag(), "pong");
}

TEST(MessageTag, OfBytesThatEndTooSoonIsNone) {
  for (const value& content : {list_of({"push", 1}), list_of({std::string(300, 'a'), 1}), value("word")}) {
    for (std::size_t size = 0; size < 12; ++size) {
      const std::string tag = as_bytes(content, size).tag();
      EXPECT_TRUE(tag.empty() || tag == "push" || tag == "word") << size << ": " << tag;
    }
  }
}

class MessageTagTest : public RuntimeTest {};

TEST_F(MessageTagTest, AnEndIsFoundAmongThoseThatAreNone) {
  run([](process& self) -> task<> {
    self.trap_exits(true);
    for (int i = 0; i < 100; ++i) {
      self.send(self.id(), list_of({"push", i}));
      self.send(self.id(), Pong{i});
      self.send(self.id(), as_bytes(list_of({"pong", map_of({{"number", i}})})));
    }
    self.send(self.id(), list_of({"DOWN", 1}));  // begins like one, and is none
    self.send(self.id(), as_bytes(list_of({"EXIT", self.id(), "enough"})));
    const ref watch = self.monitor(pid());
    auto ended = co_await self.receive<down>(patience);
    EXPECT_TRUE(ended && ended->monitor == watch);
    auto left = co_await self.receive<exit_message>(patience);
    EXPECT_TRUE(left && left->reason == exit_reason("enough") && left->from == self.id());
    auto wired = 0;
    while (auto got = co_await self.receive<Pong>(0ms)) ++wired;
    EXPECT_EQ(wired, 200);
    EXPECT_EQ(self.waiting_messages(), 101u);
  }).or_exit();
}

}  // namespace
}  // namespace troupe::test
