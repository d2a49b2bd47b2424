// Tcp between two OS processes, encrypted and plain, each by sockets of ours and by libzmq: hubs alone, no node. Rounds
// of all four, one after the other, in one run.
// usage: channel_bench ROUNDS SCALE
#include <condition_variable>
#include <functional>
#include <iostream>
#include <map>
#include <mutex>

#include <troupe/bus/hub.hpp>

#include "support.hpp"

using namespace std::chrono_literals;
using namespace troupe;

namespace {

constexpr std::size_t small_bytes = 32, large_bytes = 1u << 20;

struct kind {
  const char* name;
  plain_text allowed;
  transport_kind by;
};
constexpr std::array kinds{kind{"direct", plain_text::nowhere, transport_kind::direct},
                           kind{"zeromq", plain_text::nowhere, transport_kind::zeromq},
                           kind{"plain", plain_text::on_loopback, transport_kind::direct},
                           kind{"plain_zeromq", plain_text::on_loopback, transport_kind::zeromq}};

// One hub on a loop of its own; what comes goes to `on_frame`, on the loop's thread.
class end final : public bus::hub_events {
 public:
  end(const std::string& name, const kind& how) {
    bus::hub_options options;
    options.self.name = name;
    options.self.creation = 1;
    options.security = {.cookie = "a-cookie-for-the-benchmarks-of-troupe", .plain_text_allowed = how.allowed};
    options.transport = bus::zmtp_transport(*loop_, how.by).value();
    hub = bus::hub::make(std::move(options), *this).value();
  }
  void up(const bus::peer_info& peer) override {
    std::lock_guard lock(mutex_);
    peer_ = peer;
    changed_.notify_all();
  }
  void frame(bus::connection_id from, std::span<const std::byte> data) override {
    hub->consumed(from, data.size());
    on_frame(from, data);
  }
  void down(bus::connection_id, const error&) override {}  // the side that asks has done
  void dial_failed(bus::dial_id, const error& why) override { give_up(why); }
  void relieved(bus::connection_id) override { on_relieved(); }

  bus::peer_info wait_up() {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, 10s, [this] { return peer_.id != 0; })) std::_Exit(1);
    return peer_;
  }
  void done() {
    std::lock_guard lock(mutex_);
    done_ = true;
    changed_.notify_all();
  }
  void wait_done() {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, 300s, [this] { return done_; })) std::_Exit(1);
    done_ = false;
  }

  std::function<void(bus::connection_id, std::span<const std::byte>)> on_frame;
  std::function<void()> on_relieved = [] {};

 private:
  static void give_up(const error& why) {
    std::cerr << "channel_bench: " << why.message() << "\n";
    std::_Exit(1);
  }

  std::unique_ptr<bus::loop> loop_ = bus::make_loop();
  std::mutex mutex_;
  std::condition_variable changed_;
  bus::peer_info peer_;
  bool done_ = false;

 public:
  std::unique_ptr<bus::hub> hub;  // goes before the loop
};

// Sends back what is small, and of what is large a word at the end of each message.
void answer(const kind& how, int tell) {
  end one("answers@host", how);
  std::size_t taken = 0;
  one.on_frame = [&](bus::connection_id from, std::span<const std::byte> data) {
    if (data.size() > small_bytes && (taken += data.size()) < large_bytes) return;
    taken = data.size() > small_bytes ? 0 : taken;
    (void)one.hub->send(from, bytes(small_bytes), bus::delivery::must);
  };
  const auto at = one.hub->listen(bus::endpoint::parse("tcp://127.0.0.1:*").value()).value();
  if (write(tell, &at.port, sizeof at.port) != sizeof at.port) return;
  for (;;) pause();
}

double round_trip(end& one, bus::connection_id peer, int count) {
  std::vector<double> us;
  auto start = bench::now();
  one.on_frame = [&](bus::connection_id, std::span<const std::byte>) {
    us.push_back(bench::micros_since(start));
    if (static_cast<int>(us.size()) == count) return one.done();
    start = bench::now();
    (void)one.hub->send(peer, bytes(small_bytes));
  };
  (void)one.hub->send(peer, bytes(small_bytes));
  one.wait_done();
  std::ranges::nth_element(us, us.begin() + count / 2);
  return us[static_cast<std::size_t>(count / 2)];
}

double throughput(end& one, bus::connection_id peer, std::size_t frame, int count) {
  const auto whole = std::make_shared<const bytes>(large_bytes);
  std::size_t sent = 0;  // of all messages; the loop's thread
  int answers = 0;
  const auto send_on = [&] {
    while (sent < large_bytes * static_cast<std::size_t>(count)) {
      const std::size_t at = sent % large_bytes;
      const std::size_t now = std::min(frame, large_bytes - at);
      if (!one.hub->send(peer, {{}, whole, std::span(*whole).subspan(at, now)})) return;
      sent += now;
    }
  };
  one.on_relieved = send_on;
  one.on_frame = [&](bus::connection_id, std::span<const std::byte>) {
    if (++answers == count) one.done();
  };
  const auto start = bench::now();
  one.hub->post(send_on);
  one.wait_done();
  return static_cast<double>(large_bytes) * count / 1e6 / bench::seconds_since(start);
}

void measure(const kind& how, std::uint16_t port, double scale, int tell) {
  end one("asks@host", how);
  one.hub->dial({bus::endpoint::scheme::tcp, "127.0.0.1", port});
  const bus::peer_info peer = one.wait_up();
  const std::size_t frame = std::min<std::size_t>(peer.theirs.frame_bytes, 256u << 10);
  std::array<double, 2> found{};
  round_trip(one, peer.id, bench::scaled(scale, 2'000));
  found[0] = round_trip(one, peer.id, bench::scaled(scale, 20'000));
  found[1] = throughput(one, peer.id, frame, bench::scaled(scale, 500));
  (void)!write(tell, found.data(), sizeof found);
  std::_Exit(0);
}

template <class T>
T read_one(int fd) {
  T out{};
  if (read(fd, &out, sizeof out) != static_cast<ssize_t>(sizeof out)) std::exit(1);
  return out;
}

std::array<double, 2> once(const kind& how, double scale) {
  int ready[2], results[2];
  if (pipe(ready) != 0 || pipe(results) != 0) std::exit(1);
  const bench::child answers([&] { answer(how, ready[1]); });
  close(ready[1]);
  const auto port = read_one<std::uint16_t>(ready[0]);
  const bench::child asks([&] { measure(how, port, scale, results[1]); });
  close(results[1]);
  const auto out = read_one<std::array<double, 2>>(results[0]);
  close(ready[0]);
  close(results[0]);
  return out;
}

void summary(const std::string& line, std::vector<double> all, const char* unit) {
  std::ranges::sort(all);
  bench::emit(line + "_median", all[all.size() / 2], unit);
  bench::emit(line + "_min", all.front(), unit);
  bench::emit(line + "_max", all.back(), unit);
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 1;
  const double scale = argc > 2 ? std::atof(argv[2]) : 1;
  std::map<std::string, std::vector<double>> trips, rates;
  for (int round = 0; round < rounds; ++round) {
    for (std::size_t i = 0; i < kinds.size(); ++i) {  // in another order each time
      const kind& how = kinds[(i + static_cast<std::size_t>(round)) % kinds.size()];
      const auto [trip, rate] = once(how, scale);
      trips[how.name].push_back(trip);
      rates[how.name].push_back(rate);
    }
  }
  for (const kind& how : kinds) {
    summary(std::string(how.name) + "_round_trip_32B", trips[how.name], "us");
    summary(std::string(how.name) + "_1MiB", rates[how.name], "MB/s");
  }
  const auto ratio = [](const std::vector<double>& of, const std::vector<double>& to) {
    std::vector<double> out;
    for (std::size_t i = 0; i < of.size(); ++i) out.push_back(of[i] / to[i]);
    return out;
  };
  summary("direct_to_zeromq_round_trip_32B", ratio(trips["direct"], trips["zeromq"]), "ratio");
  summary("direct_to_zeromq_1MiB", ratio(rates["direct"], rates["zeromq"]), "ratio");
  summary("plain_to_plain_zeromq_round_trip_32B", ratio(trips["plain"], trips["plain_zeromq"]), "ratio");
  summary("plain_to_plain_zeromq_1MiB", ratio(rates["plain"], rates["plain_zeromq"]), "ratio");
}
