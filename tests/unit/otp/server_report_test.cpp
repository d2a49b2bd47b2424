// What the report of a server's end shows as its last message, whichever way the handler takes it.
#include "otp_test.hpp"

namespace troupe::test {
namespace {

struct Put {
  std::string text;
  TROUPE_MESSAGE(Put, "report.put", text)
};
struct Later {
  std::string text;
  TROUPE_MESSAGE(Later, "report.later", text)
};
struct Seen {
  std::string text;
  TROUPE_MESSAGE(Seen, "report.seen", text)
};
struct Count {
  std::int64_t number = 0;
  TROUPE_MESSAGE(Count, "report.count", number)
};

struct Ends {
  using messages = handles<Put, Later, Seen, Count>;
  std::string kept;

  void on(Put put) {
    kept = std::move(put.text);
    if (kept.starts_with("end")) throw std::runtime_error("with " + std::to_string(kept.size()));
  }
  task<> on(process& self, Later later) {
    co_await self.yield();
    kept = std::move(later.text);
    self.exit(exit_reason("later"));
  }
  void on(const Seen& seen) const { throw std::runtime_error(seen.text); }
  void on(process& self, Count count) { self.exit(exit_reason(value(count.number))); }
};

static_assert(detail::handled_by_reference<Ends, Seen, void>);
static_assert(!detail::handled_by_reference<Ends, Put, void>);
static_assert(!detail::handled_by_reference<Ends, Later, task<>>);

class ServerReport : public OtpTest {
 protected:
  template <class M>
  std::string last_message(M message) {
    pid server = start_server<Ends>(*node, {}).or_exit();
    const std::size_t before = log->count("server ends");
    here->send(server, std::move(message));
    EXPECT_TRUE(wait_until([&] { return log->count("server ends") > before; }));
    std::string out;
    for (const log_line& line : log->lines()) {
      if (line.text.starts_with("server ends")) out = line.fields.text_at("last_message");
    }
    return out;
  }
};

TEST_F(ServerReport, ShowsWhatTheHandlerWasGiven) {
  const std::string text = "end of a text that is too long to lie inside of its string";
  EXPECT_EQ(last_message(Put(text)), "{\"report.put\", {text = \"" + text + "\"}}");
  EXPECT_EQ(last_message(Later(text)), "{\"report.later\", {text = \"" + text + "\"}}");
  EXPECT_EQ(last_message(Seen(text)), "{\"report.seen\", {text = \"" + text + "\"}}");
  EXPECT_EQ(last_message(Count(7)), "{\"report.count\", {number = 7}}");
}

TEST_F(ServerReport, SaysWhenALongOneIsGone) {
  const std::string text = "end" + std::string(10'000, 'x');
  EXPECT_EQ(last_message(Put(text)), "\"report.put\", too long to keep: its handler took it");
  EXPECT_TRUE(last_message(Seen(text)).starts_with("{\"report.seen\", {text = \"endxxx"));
}

}  // namespace
}  // namespace troupe::test
