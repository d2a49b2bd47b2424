#include <troupe/bus/hub.hpp>

#include <algorithm>

#include <troupe/expect.hpp>

#include "hub_core.hpp"
#include "resolver.hpp"

namespace troupe::bus {

result<std::unique_ptr<hub>> hub::make(hub_options options, hub_events& events) {
  if (auto legal = check_node_name(options.self.name); !legal) return legal.error();
  if (options.self.creation == 0) return error(errc::bad_argument, "a hub needs a creation");
  if (!options.transport) return error(errc::bad_argument, "a hub needs a transport");
  const limits& l = options.limits;
  if (l.frame_bytes < 1024 || l.credit_bytes < 1024 || l.tick < std::chrono::milliseconds(10) ||
      l.tick > std::chrono::minutes(10) || l.half_handshakes == 0) {
    return error(errc::bad_argument, "limits: frames and credit of 1 KiB at least, a tick of 10 ms to 10 min");
  }
  if (!options.random) options.random = system_random();
  auto made = std::make_unique<internal::hub_core>(std::move(options), events);
  if (auto begun = made->begin(); !begun) return begun.error();
  return std::unique_ptr<hub>(std::move(made));
}

namespace internal {
namespace {

constexpr std::size_t longest_encrypted_frame = 64u << 10;

}  // namespace

hub_core::hub_core(hub_options options, hub_events& events)
    : transport_(std::move(options.transport)),
      loop_(transport_->on()),
      events_(events),
      self_(std::move(options.self)),
      limits_(options.limits),
      queue_bytes_(options.queue_bytes),
      reserve_bytes_(options.reserve_bytes),
      random_(std::move(options.random)),
      security_(std::move(options.security)),
      drops_(options.log),
      near_strangers_(limits_.half_handshakes, 0, *random_),
      far_strangers_(limits_.half_handshakes, std::max<std::size_t>(limits_.half_handshakes * 3 / 4, 1), *random_) {}

hub_core::~hub_core() {
  loop_.run([this] { teardown(); });
  transport_.reset();
}

result<void> hub_core::begin() {
  transport_settings settings;
  const auto with_its_heads = [](std::size_t bytes) { return std::max(bytes + header_bytes, longest_handshake) + 256; };
  settings.frame_bytes = with_its_heads(limits_.frame_bytes);
  settings.encrypted_frame_bytes = with_its_heads(limits_over(channel::encrypted).frame_bytes);
  settings.stranger_frame_bytes = longest_handshake;
  settings.frames_under_way = (limits_.credit_bytes + limits_.frame_bytes) / frame_cost + 4096;
  settings.silence = limits_.tick * 4;
  settings.random = random_.get();
  settings.log = drops_.sink();
  result<void> out;
  loop_.run([&] {
    out = transport_->start(*this, settings);
    started_ = out.has_value();
  });
  return out;
}

result<channel> hub_core::check_endpoint(const endpoint& where) const {
  if (!transport_->speaks(where.kind)) {
    return error(errc::unsupported, where.text() + ": not spoken by this node's transport");
  }
  return channel_over(where, security_);
}

// An encrypted frame is opened as a whole; and libzmq, which may be on either side, takes the memory that a head claims
// before it knows who speaks.
limits hub_core::limits_over(channel how) const {
  limits out = limits_;
  if (how == channel::encrypted) out.frame_bytes = std::min(out.frame_bytes, longest_encrypted_frame);
  return out;
}

const channel_keys& hub_core::keys() {
  if (!keys_) keys_ = derive_channel_keys(security_.cookie);
  return *keys_;
}

// An endpoint of this hub because of which it cannot listen there: an address of all takes its port alone.
const hub_core::listened* hub_core::in_the_way(const endpoint& where) const {
  const auto number = [](const endpoint& of) {
    const auto found = of.kind == endpoint::scheme::tcp ? numeric_address(of) : result<socket_address>(errc::io);
    return found ? numbers_of(*found).host : std::string();
  };
  const auto is_all = [](const std::string& host) { return host == "0.0.0.0" || host == "::"; };
  const std::string wanted = number(where);
  for (const listened& one : listening_) {
    const std::string has = number(one.real);
    if (where.port == 0 || one.real.port != where.port || wanted.empty() || has.empty()) continue;
    if (has == wanted || is_all(has) || is_all(wanted)) return &one;
  }
  return nullptr;
}

result<endpoint> hub_core::listen(const endpoint& where) {
  result<endpoint> out(errc::shutting_down);
  // A name is looked up by the thread that calls: nobody else waits for it.
  std::vector<endpoint> real{where};
  if (where.kind == endpoint::scheme::tcp && !numeric_address(where)) {
    const auto found = resolver::wait_for(where);
    if (!found) return error(errc::io, found.error().text());
    real.clear();
    for (const socket_address& one : *found) real.push_back(literal(where, one));
  }
  loop_.run([&] {
    if (stopping_) return;
    if (self_.tool) {
      out = error(errc::not_allowed, "a tool never listens");
      return;
    }
    const auto how = check_endpoint(where);
    if (!how) {
      out = how.error();
      return;
    }
    const bool encrypted = *how == channel::encrypted;
    for (const endpoint& one : real) {
      out = encrypted ? transport_->listen_encrypted(one, keys()) : transport_->listen(one);
      if (out) break;
    }
    if (!out) {
      if (const listened* other = in_the_way(real.back())) {
        out = error(out.error().code(), where.text() + ": this node listens at " + other->told.text() +
                                            " already, and 0.0.0.0 or [::], which is for IPv4 too, takes its port "
                                            "alone: leave one of them out");
      }
      return;
    }
    const endpoint bound = *out;
    out->host = where.host;
    listening_.push_back({*out, bound});
    if (encrypted) {
      drops_.log(log_level::info, "an endpoint is encrypted", {{"endpoint", out->text()}});
    } else if (!where.is_local()) {
      drops_.log(log_level::warning, "an endpoint off loopback is not encrypted: plain text was asked for",
                 {{"endpoint", out->text()}});
    }
  });
  return out;
}

void hub_core::unlisten(const endpoint& where) {
  loop_.run([&] {
    if (stopping_) return;
    for (const listened& one : listening_) {
      if (one.told == where) transport_->unlisten(one.real);
    }
    std::erase_if(listening_, [&where](const listened& one) { return one.told == where; });
  });
}

void hub_core::post_alive(std::move_only_function<void()> work) {
  loop_.post([alive = alive_, work = std::move(work)]() mutable {
    if (*alive) work();
  });
}

dial_id hub_core::start_dial(const endpoint& where, dial_options how) {
  const dial_id id = ++last_id_;
  post_alive([this, id, where, how = std::move(how)]() mutable { begin_dial(id, where, std::move(how)); });
  return id;
}

void hub_core::cancel_dial(dial_id dial) {
  post_alive([this, dial] {
    if (dials_.contains(dial)) fail_dial(dial, error(errc::cancelled, "the dial was taken back"));
  });
}

std::shared_ptr<gate> hub_core::gate_of(connection_id id) const {
  std::shared_lock lock(gates_mutex_);
  auto found = gates_.find(id);
  return found == gates_.end() ? nullptr : found->second;
}

void hub_core::put(item one) {
  bool first = false;
  {
    std::lock_guard lock(inbox_mutex_);
    first = inbox_.empty();
    inbox_.push_back(std::move(one));
  }
  if (first) post_alive([this] { drain(); });
}

result<void> hub_core::send(connection_id connection, frame_payload payload, delivery how) {
  const std::shared_ptr<gate> door = gate_of(connection);
  if (!door || !door->open.load(std::memory_order_acquire)) {
    return error(errc::noconnection, "that connection has ended");
  }
  const std::size_t size = payload.size();
  if (size > door->frame_limit) {
    return error(errc::too_large, "a frame of " + std::to_string(size) + " bytes; the other side takes " +
                                      std::to_string(door->frame_limit));
  }
  const std::size_t cost = size + frame_cost;
  const std::size_t before = door->queued.fetch_add(cost, std::memory_order_acq_rel);
  const std::size_t bound = how == delivery::must ? queue_bytes_ + reserve_bytes_ : queue_bytes_;
  if (before != 0 && before + cost > bound) {
    door->queued.fetch_sub(cost, std::memory_order_acq_rel);
    if (how == delivery::must) {
      if (door->open.exchange(false)) put({item::what::overflow, connection, {}, 0});
      return error(errc::noconnection, "the reserve for what must be delivered has overflowed");
    }
    relieve(connection, queue_bytes_ / 2);
    return error(errc::overloaded, std::to_string(before) + " bytes wait for the other side already");
  }
  put({item::what::frame, connection, std::move(payload), cost});
  return {};
}

void hub_core::consumed(connection_id connection, std::size_t payload_bytes, std::size_t frames) {
  put({item::what::consumed, connection, {}, payload_bytes + frames * frame_cost});
}

std::size_t hub_core::queued(connection_id connection) const noexcept {
  const std::shared_ptr<gate> door = gate_of(connection);
  return door ? door->queued.load(std::memory_order_acquire) : 0;
}

void hub_core::relieve(connection_id connection, std::size_t queued_bytes) {
  const std::shared_ptr<gate> door = gate_of(connection);
  if (!door) return;
  door->relief.store(queued_bytes, std::memory_order_release);
  put({item::what::frame, connection, {}, 0});  // a look: it may have emptied meanwhile
}

void hub_core::drain() {
  std::vector<item> batch;
  {
    std::lock_guard lock(inbox_mutex_);
    batch.swap(inbox_);
  }
  for (item& one : batch) {
    connection* c = find(one.connection);
    if (c == nullptr) {
      if (one.kind == item::what::frame && one.amount != 0) drops_.count("connection_ended");
      continue;
    }
    switch (one.kind) {
      case item::what::frame:
        if (one.amount != 0) c->queue.push_back(std::move(one.payload));
        pump(*c);
        break;
      case item::what::consumed:
        c->unreturned = std::min(c->unreturned + one.amount, c->charged);
        return_credit(*c, false);
        break;
      case item::what::overflow:
        end(*c, error(errc::overloaded, "the reserve for what must be delivered has overflowed"), true);
        break;
    }
  }
}

void hub_core::close(connection_id connection, error reason) {
  if (reason.code() == errc::none) reason = error(errc::closed);
  post_alive([this, connection, reason = std::move(reason)] {
    drain();  // what was sent before this call
    if (auto* c = find(connection)) leave(*c, reason);
  });
}

void hub_core::probe(connection_id connection, duration patience) {
  post_alive([this, connection, patience] {
    if (auto* c = find(connection)) ask(*c, patience, "no answer to a probe");
  });
}

void hub_core::set_security(bus::security security) {
  loop_.run([this, &security] {
    security_ = std::move(security);
    keys_.reset();
  });
}

void hub_core::stop(std::chrono::milliseconds within) {
  loop_.run([this, within] { begin_stop(within); });
  if (!loop_.threaded()) return;
  TROUPE_EXPECT(stopped() || !loop_.inside(), "hub", self_.name);  // it would wait for itself
  std::unique_lock lock(stop_mutex_);
  stop_done_.wait(lock, [this] { return stopped(); });
}

void hub_core::begin_stop(duration within) {
  if (stopping_) return;
  drain();
  stopping_ = true;
  const error reason(errc::shutting_down, self_.name + " is stopping");
  while (!dials_.empty()) fail_dial(dials_.begin()->first, reason);
  while (!halves_.empty()) refuse(halves_.begin()->first, reason);
  std::vector<connection_id> ids;
  for (const auto& [id, c] : connections_) ids.push_back(id);
  for (const connection_id id : ids) {
    if (connection* c = find(id)) leave(*c, reason);
  }
  stop_timer_ = loop_.at(deadline_after(loop_.now(), within), [this, reason] {
    stop_timer_ = 0;
    while (!connections_.empty()) end(*connections_.begin()->second, reason, true);
    for (auto& [pipe, each] : farewells_) loop_.cancel(each.timer);
    farewells_.clear();
    check_stopped();
  });
  check_stopped();
}

// The transport stops in a turn of its own: this may be called from one of its events.
void hub_core::check_stopped() {
  if (!stopping_ || stopped() || !connections_.empty() || !farewells_.empty()) return;
  if (stop_timer_ != 0) loop_.cancel(std::exchange(stop_timer_, 0));
  post_alive([this] {
    if (stopped()) return;
    transport_->stop();
    std::lock_guard lock(stop_mutex_);
    stopped_.store(true, std::memory_order_release);
    stop_done_.notify_all();
  });
}

void hub_core::teardown() {
  *alive_ = false;
  if (stop_timer_ != 0) loop_.cancel(stop_timer_);
  for (auto& [pipe, h] : halves_) loop_.cancel(h.timer);
  for (auto& [id, d] : dials_) loop_.cancel(d.timer);
  for (auto& [pipe, each] : farewells_) loop_.cancel(each.timer);
  for (auto& [id, c] : connections_) {
    loop_.cancel(c->tick);
    loop_.cancel(c->probe);
    loop_.cancel(c->leave);
  }
  if (started_ && !stopped()) transport_->stop();
}

hub_counters hub_core::counters() {
  hub_counters out;
  loop_.run([this, &out] {
    out.connections = connections_.size();
    out.half_handshakes = halves_.size();
    out.dials = dials_.size();
    out.accepted = accepted_;
    out.dialled = dialled_;
    out.drops = drops_.counts();
    for (const auto& [id, c] : connections_) {
      connection_counters one;
      one.id = id;
      one.name = c->info.who.name;
      one.dialled_by_us = c->info.dialled_by_us;
      one.encrypted = c->info.encrypted;
      one.frames_in = c->frames_in;
      one.frames_out = c->frames_out;
      one.bytes_in = c->bytes_in;
      one.bytes_out = c->bytes_out;
      one.queued_bytes = c->door->queued.load(std::memory_order_relaxed);
      one.in_flight_bytes = c->in_flight;
      one.unconsumed_bytes = c->charged - c->unreturned;
      one.heard_ago = loop_.now() - c->heard;
      one.rtt = c->rtt;
      one.peer_health = c->peer_health;
      out.peers.push_back(std::move(one));
    }
  });
  return out;
}

}  // namespace internal
}  // namespace troupe::bus
