#pragma once
// What the tests of the bus share: a hub that writes down its events, and worlds in which hubs meet.
#include <algorithm>
#include <array>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include <troupe/bus/hub.hpp>
#include <troupe/bus/simulation.hpp>

#include "support/temp_dir.hpp"
#include "support/wait.hpp"

namespace troupe::test {

inline bytes bytes_of(std::string_view text) {
  const auto data = std::as_bytes(std::span(text));
  return {data.begin(), data.end()};
}
inline std::string text_of(std::span<const std::byte> data) {
  return {reinterpret_cast<const char*>(data.data()), data.size()};
}

// Keeps what it is told; thread-safe.
class line_log final : public log_sink {
 public:
  bool enabled(log_level) const noexcept override { return true; }
  void log(log_level level, std::string_view message, map fields) noexcept override {
    std::string line =
        std::string(to_string(level)) + ": " + std::string(message) + " " + value(std::move(fields)).print();
    std::lock_guard lock(mutex_);
    lines_.push_back(std::move(line));
  }
  bool has(std::string_view text) const {
    std::lock_guard lock(mutex_);
    return std::ranges::any_of(lines_, [&](const std::string& line) { return line.contains(text); });
  }
  std::size_t count(std::string_view text) const {
    std::lock_guard lock(mutex_);
    return static_cast<std::size_t>(
        std::ranges::count_if(lines_, [&](const std::string& line) { return line.contains(text); }));
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> lines_;
};

// The events of one hub. `consume` off: frames stay charged until a test gives them back.
class recorder final : public bus::hub_events {
 public:
  struct ended {
    bus::connection_id id;
    error reason;
  };

  result<void> admit(const bus::peer_info& peer) override {
    std::lock_guard lock(mutex_);
    return on_admit ? on_admit(peer) : result<void>();
  }
  void up(const bus::peer_info& peer) override {
    std::lock_guard lock(mutex_);
    ups_.push_back(peer);
    lines_.push_back("up " + peer.who.name);
  }
  void frame(bus::connection_id connection, std::span<const std::byte> payload) override {
    std::size_t size = payload.size();
    bus::hub* hub = nullptr;
    {
      std::lock_guard lock(mutex_);
      frames_.emplace_back(connection, text_of(payload));
      lines_.push_back("frame " + text_of(payload.first(std::min<std::size_t>(size, 40))));
      if (consume) hub = this->hub;
    }
    if (on_frame) on_frame(connection, payload);
    if (hub != nullptr) hub->consumed(connection, size);
  }
  void down(bus::connection_id connection, const error& reason) override {
    std::lock_guard lock(mutex_);
    downs_.push_back({connection, reason});
    lines_.push_back("down " + reason.message());
  }
  void dial_failed(bus::dial_id dial, const error& reason) override {
    std::lock_guard lock(mutex_);
    failed_.push_back({dial, reason});
    lines_.push_back("dial_failed " + reason.message());
  }
  void dial_joined(bus::dial_id dial, bus::connection_id connection) override {
    std::lock_guard lock(mutex_);
    joined_.emplace_back(dial, connection);
    lines_.push_back("dial_joined");
  }
  void relieved(bus::connection_id) override {
    std::lock_guard lock(mutex_);
    ++relieved_;
  }

  template <class T>
  T read(T recorder::* member) const {
    std::lock_guard lock(mutex_);
    return this->*member;
  }
  std::vector<bus::peer_info> ups() const { return read(&recorder::ups_); }
  std::vector<ended> downs() const { return read(&recorder::downs_); }
  std::vector<ended> failed() const { return read(&recorder::failed_); }
  std::vector<std::pair<bus::dial_id, bus::connection_id>> joined() const { return read(&recorder::joined_); }
  std::vector<std::pair<bus::connection_id, std::string>> frames() const { return read(&recorder::frames_); }
  std::vector<std::string> lines() const { return read(&recorder::lines_); }
  std::size_t relieved_count() const { return read(&recorder::relieved_); }
  std::size_t frame_count() const {
    std::lock_guard lock(mutex_);
    return frames_.size();
  }
  bus::connection_id first() const {
    std::lock_guard lock(mutex_);
    return ups_.empty() ? 0 : ups_.front().id;
  }
  bus::connection_id last() const {
    std::lock_guard lock(mutex_);
    return ups_.empty() ? 0 : ups_.back().id;
  }

  bus::hub* hub = nullptr;
  std::atomic<bool> consume = true;
  std::function<result<void>(const bus::peer_info&)> on_admit;                   // set before any dial
  std::function<void(bus::connection_id, std::span<const std::byte>)> on_frame;  // set before any dial

 private:
  mutable std::mutex mutex_;
  std::vector<bus::peer_info> ups_;
  std::vector<ended> downs_, failed_;
  std::vector<std::pair<bus::dial_id, bus::connection_id>> joined_;
  std::vector<std::pair<bus::connection_id, std::string>> frames_;
  std::vector<std::string> lines_;
  std::size_t relieved_ = 0;
};

inline constexpr std::string_view good_cookie = "a-cookie-of-this-test";

inline bus::hub_options options_for(std::string_view name, std::uint64_t creation = 1) {
  bus::hub_options out;
  out.self.name = std::string(name);
  out.self.creation = creation;
  out.security.cookie = std::string(good_cookie);
  return out;
}

// A node of a test: its log, its events, its hub. Ends in the order that these need.
struct test_node {
  line_log log;
  recorder events;
  std::unique_ptr<bus::hub> hub;

  explicit test_node(bus::hub_options options) {
    options.log = &log;
    auto made = bus::hub::make(std::move(options), events);
    if (!made) throw std::runtime_error("no hub: " + made.error().message());
    hub = std::move(*made);
    events.hub = hub.get();
  }
  bus::endpoint listen(const std::string& where) {
    auto at = hub->listen(bus::endpoint::parse(where).value());
    if (!at) throw std::runtime_error("no endpoint: " + at.error().message());
    return *at;
  }
  std::uint64_t drops(std::string_view cause) const {
    for (const auto& [name, count] : hub->counters().drops) {
      if (name == cause) return count;
    }
    return 0;
  }
};

// Who carries the sockets, on both sides or on either: named in the order acceptor, dialler.
enum class pairing { direct, zeromq, direct_zeromq, zeromq_direct };
inline constexpr std::array pairings{pairing::direct, pairing::zeromq, pairing::direct_zeromq, pairing::zeromq_direct};

inline std::string to_string(pairing which) {
  switch (which) {
    case pairing::direct: return "Direct";
    case pairing::zeromq: return "Zeromq";
    case pairing::direct_zeromq: return "DirectAcceptsZeromq";
    case pairing::zeromq_direct: return "ZeromqAcceptsDirect";
  }
  return "";
}
inline transport_kind acceptor_of(pairing which) {
  return which == pairing::direct || which == pairing::direct_zeromq ? transport_kind::direct : transport_kind::zeromq;
}
inline transport_kind dialler_of(pairing which) {
  return which == pairing::direct || which == pairing::zeromq_direct ? transport_kind::direct : transport_kind::zeromq;
}

// What carries frames, and who carries it: each transport, and each pairing of those that speak ZMTP.
struct form {
  enum kind : std::uint8_t { inproc, sim, ipc, tcp, curve };
  kind which;
  pairing by = pairing::direct;

  constexpr form(kind which, pairing by = pairing::direct) : which(which), by(by) {}
  constexpr operator kind() const noexcept { return which; }
};
inline constexpr auto forms = [] {
  std::array<form, 14> out{form::inproc, form::sim, form::ipc, form::ipc,   form::ipc,   form::ipc,   form::tcp,
                           form::tcp,    form::tcp, form::tcp, form::curve, form::curve, form::curve, form::curve};
  for (std::size_t i = 2; i < out.size(); ++i) out[i].by = pairings[(i - 2) % pairings.size()];
  return out;
}();

// Those that are the same on both sides.
inline constexpr std::array even_forms{form(form::inproc), form(form::sim),
                                       form(form::ipc),    form(form::ipc, pairing::zeromq),
                                       form(form::tcp),    form(form::tcp, pairing::zeromq),
                                       form(form::curve),  form(form::curve, pairing::zeromq)};

inline std::string to_string(const form& which) {
  constexpr std::array names{"Inproc", "Sim", "Ipc", "Tcp", "Curve"};
  const bool sockets = which != form::inproc && which != form::sim;
  return names[which.which] + (sockets ? to_string(which.by) : std::string());
}

// A connection by tcp: plain text, or encrypted, in each pairing.
struct channel_case {
  bool encrypted;
  pairing by;
};
inline constexpr auto channel_cases = [] {
  std::array<channel_case, 2 * pairings.size()> out{};
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = {i >= pairings.size(), pairings[i % pairings.size()]};
  return out;
}();
inline std::string to_string(const channel_case& which) {
  return (which.encrypted ? "Encrypted" : "Plain") + to_string(which.by);
}
// Not by their bytes, as GoogleTest would, some of which nobody has written.
inline void PrintTo(const channel_case& which, std::ostream* out) { *out << to_string(which); }
inline void PrintTo(const form& which, std::ostream* out) { *out << to_string(which); }
inline transport_kind acceptor_of(const channel_case& which) { return acceptor_of(which.by); }
inline transport_kind dialler_of(const channel_case& which) { return dialler_of(which.by); }

// One of the forms of the transport, so that one test runs over all. Where two carriers are mixed, the hubs "a@host"
// and "c@host" have the acceptor's.
class world {
 public:
  explicit world(form which) : which_(which) {
    if (which == form::sim) simulator_ = bus::make_simulator();
    else loop_ = bus::make_loop();
    network_ = bus::make_inproc_network();
  }

  bus::hub_options options(std::string_view name, std::uint64_t creation = 1,
                           std::optional<transport_kind> carrier = std::nullopt) {
    bus::hub_options out = options_for(name, creation);
    if (encrypts()) out.security.plain_text_allowed = plain_text::nowhere;
    if (!carrier) {
      const bool accepts = name == "a@host" || name == "c@host";
      carrier = accepts ? acceptor_of(which_.by) : dialler_of(which_.by);
    }
    switch (which_) {
      case form::inproc: out.transport = bus::inproc_transport(*loop_, network_); break;
      case form::sim:
        out.transport = simulator_->attach(std::string(name) + "/" + std::to_string(creation));
        out.random = simulator_->random();
        break;
      default: out.transport = bus::zmtp_transport(*loop_, *carrier).value();
    }
    return out;
  }
  // A fresh address.
  std::string address() {
    const std::string number = std::to_string(++addresses_);
    switch (which_) {
      case form::inproc: return "inproc://" + number;
      case form::sim: return "sim://" + number;
      case form::ipc: return "ipc://" + (folder_ / number).string();
      default: return "tcp://127.0.0.1:*";
    }
  }
  // One at which nobody listens.
  std::string dead_address() { return which_ == form::tcp || which_ == form::curve ? "tcp://127.0.0.1:1" : address(); }
  [[nodiscard]] bool until(const std::function<bool()>& done) {
    if (simulator_) return simulator_->run_until(done, std::chrono::seconds(300));
    return wait_until(done);
  }
  // Everything that was posted has run.
  void settle() {
    if (simulator_) simulator_->run_for(std::chrono::milliseconds(100));
    else loop_->run([] {});
  }
  // Is what its hubs dial by tcp encrypted, by the keys of `good_cookie`?
  [[nodiscard]] bool encrypts() const noexcept { return which_ == form::curve; }
  bus::simulator* simulator() { return simulator_.get(); }
  bus::loop& loop() { return *loop_; }

 private:
  form which_;
  temp_dir folder_;
  std::unique_ptr<bus::loop> loop_;
  std::shared_ptr<bus::inproc_network> network_;
  std::unique_ptr<bus::simulator> simulator_;
  int addresses_ = 0;
};

}  // namespace troupe::test
