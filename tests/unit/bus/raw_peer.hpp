#pragma once
// A peer without a hub: it sends whatever bytes a test wants and keeps what comes back.
#include <mutex>
#include <string>
#include <vector>

#include <troupe/bus/transport.hpp>

#include "handshake.hpp"
#include "unit/bus/hub_fixture.hpp"

namespace troupe::test {

class raw_peer final : public bus::transport_events {
 public:
  raw_peer(std::unique_ptr<bus::transport> transport) : transport_(std::move(transport)), random_(seeded_random(7)) {
    transport_->on().run([this] {
      bus::transport_settings settings;
      settings.frame_bytes = settings.encrypted_frame_bytes = settings.stranger_frame_bytes = 16u << 20;
      settings.frames_under_way = 1u << 20;
      settings.silence = std::chrono::seconds(60);
      settings.random = random_.get();
      static_cast<void>(transport_->start(*this, settings));
    });
  }
  ~raw_peer() override {
    transport_->on().run([this] { transport_->stop(); });
  }

  void opened(bus::pipe_id) override {}
  void frame(bus::pipe_id pipe, std::span<const std::byte> data) override {
    if (data.empty()) return;
    std::lock_guard lock(mutex_);
    got_.push_back({pipe, bytes(data.begin(), data.end())});
  }
  void closed(bus::pipe_id, const error&) override {
    std::lock_guard lock(mutex_);
    ++closed_;
  }

  bus::pipe_id dial(const bus::endpoint& where, bool encrypted = false) {
    bus::pipe_id out = 0;
    transport_->on().run([&] {
      const auto keys = bus::derive_channel_keys(good_cookie);
      out = (encrypted ? transport_->dial_encrypted(where, keys) : transport_->dial(where)).value();
    });
    return out;
  }
  void send(bus::pipe_id pipe, const bytes& data) {
    transport_->on().run([&] { transport_->send(pipe, {}, data); });
  }
  void close(bus::pipe_id pipe) {
    transport_->on().run([&] { transport_->close(pipe); });
  }
  std::vector<std::pair<bus::pipe_id, bytes>> got() const {
    std::lock_guard lock(mutex_);
    return got_;
  }
  std::size_t closed_count() const {
    std::lock_guard lock(mutex_);
    return closed_;
  }
  // The first refusal, or an empty error.
  error refusal() const {
    for (const auto& [pipe, data] : got()) {
      const auto step = bus::internal::parse_step(data);
      if (step && step->kind == bus::internal::step::refused) return bus::internal::parse_refusal(step->body);
    }
    return {};
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::pair<bus::pipe_id, bytes>> got_;
  std::size_t closed_ = 0;
  std::unique_ptr<bus::transport> transport_;
  std::shared_ptr<random_source> random_;
};

inline bus::internal::hello_message hello_of(std::string_view name, std::uint64_t creation = 5) {
  bus::internal::hello_message out;
  out.protocol_min = out.protocol_max = 1;
  bus::identity self;
  self.name = std::string(name);
  self.creation = creation;
  out.who = bus::internal::introduce(self, limits{});
  out.secret = "cookie";
  out.nonce = bytes(bus::internal::nonce_bytes);
  return out;
}

// Does the dialler's half of the handshake by hand; afterwards `wire` is the connection's id.
struct raw_connection {
  bus::pipe_id pipe = 0;
  bus::internal::wire_id wire{};
};
inline raw_connection raw_connect(world& in, raw_peer& peer, const bus::endpoint& where, std::string_view name,
                                  std::uint64_t creation = 5) {
  namespace wire = bus::internal;
  raw_connection out;
  wire::transcript frames;
  frames.hello = wire::encode_step("hello", hello_of(name, creation));
  if (in.encrypts()) frames.over = bus::channel::encrypted;
  out.pipe = peer.dial(where, in.encrypts());
  const auto answers = [&] {
    std::vector<bytes> mine;
    for (auto& [pipe, data] : peer.got()) {
      if (pipe == out.pipe) mine.push_back(data);
    }
    return mine;
  };
  peer.send(out.pipe, frames.hello);
  if (!in.until([&] { return answers().size() >= 1; })) return out;
  frames.challenge = answers()[0];
  const auto step = wire::parse_step(frames.challenge);
  if (!step || step->kind != wire::step::challenge) return out;
  const auto challenge = wire::parse_challenge(step->body);
  const auto proof = wire::prove_dialler(good_cookie, frames);
  peer.send(out.pipe, wire::encode_step("proof", wire::proof_message(bytes(proof.begin(), proof.end()))));
  if (!in.until([&] { return answers().size() >= 2; })) return out;
  std::ranges::copy(challenge->connection, out.wire.begin());
  return out;
}

inline bytes data_frame(const bus::internal::wire_id& id, std::string_view payload,
                        bus::internal::frame_kind kind = bus::internal::frame_kind::signals) {
  const auto header = bus::internal::make_header(kind, id);
  bytes out(header.begin(), header.end());
  const bytes rest = bytes_of(payload);
  out.insert(out.end(), rest.begin(), rest.end());
  return out;
}

}  // namespace troupe::test
