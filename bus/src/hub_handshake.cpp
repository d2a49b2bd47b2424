// The steps of the handshake: what a hub does with the frames of a pipe that is not up yet.
#include <algorithm>
#include <new>

#include "crypto/proof.hpp"
#include "hub_core.hpp"
#include "quoted.hpp"

namespace troupe::bus::internal {
namespace {

constexpr duration failure_delay = std::chrono::seconds(1);  // once failed attempts come thick

std::string_view name_of(secret which) { return which == secret::cookie ? "cookie" : "control_key"; }

bytes draw(random_source& random, std::size_t count) {
  bytes out(count);
  random.fill(out);
  return out;
}

bytes copy(std::span<const std::byte> data) { return {data.begin(), data.end()}; }

}  // namespace

void hub_core::opened(pipe_id pipe) {
  if (stopping_) return;
  half h;
  h.pipe = pipe;
  const std::string source = transport_->source(pipe);
  h.far = !source.empty();
  crowd& strangers = strangers_of(h.far);
  if (const pipe_id goes = strangers.must_go(source); goes != 0) send_away(goes);
  strangers.add(pipe, source);
  h.frames.over = transport_->is_encrypted(pipe) ? channel::encrypted : channel::plain;
  h.timer = loop_.at(deadline_after(loop_.now(), limits_.handshake), [this, pipe] {
    halves_.at(pipe).timer = 0;
    refuse(pipe, error(errc::timeout, "the handshake was not finished in time"));
  });
  halves_.emplace(pipe, std::move(h));
}

void hub_core::send_away(pipe_id stranger) {
  drops_.drop("half_handshake_limit", loop_.now(), "too many handshakes at once");
  send_step(stranger, encode_step("refused", error(errc::overloaded, "too many handshakes at once")));
  drop_half(stranger);
  transport_->close(stranger);
}

void hub_core::frame(pipe_id pipe, std::span<const std::byte> data) {
  if (data.empty()) return;  // an acceptor of libzmq finds out whether we are still there
  try {
    take_frame(pipe, data);
  } catch (const std::bad_alloc&) {
    no_memory(pipe, data.size());
  }
}

void hub_core::take_frame(pipe_id pipe, std::span<const std::byte> data) {
  if (auto up = by_pipe_.find(pipe); up != by_pipe_.end()) return connection_frame(*up->second, data);
  if (auto h = halves_.find(pipe); h != halves_.end()) return half_frame(h->second, data);
  if (auto f = farewells_.find(pipe); f != farewells_.end()) farewell_frame(pipe, f->second.wire, data);
}

// Whatever a peer sends may be too much for this program: then that peer goes, and the node stays.
void hub_core::no_memory(pipe_id pipe, std::size_t frame_bytes) {
  const error why(errc::system_limit,
                  "no memory for what a frame of " + std::to_string(frame_bytes) + " bytes brought");
  drops_.count("no_memory");
  if (auto up = by_pipe_.find(pipe); up != by_pipe_.end()) return end(*up->second, why, true);
  if (auto h = halves_.find(pipe); h != halves_.end() && h->second.dial != 0) return fail_dial(h->second.dial, why);
  drop_half(pipe);
  transport_->close(pipe);
}

void hub_core::farewell_frame(pipe_id pipe, const wire_id& wire, std::span<const std::byte> data) {
  const auto parsed = parse_frame(data);
  if (!parsed || parsed->id != wire || parsed->kind != frame_kind::control) return;
  const auto controls = parse_control(parsed->payload);
  const bool over = !controls || std::ranges::any_of(*controls, [](const control& one) {
    return one.kind == control::what::gone || one.kind == control::what::bye;
  });
  if (!over) return;
  auto f = farewells_.find(pipe);
  loop_.cancel(f->second.timer);
  farewells_.erase(f);
  transport_->close(pipe);
  check_stopped();
}

void hub_core::closed(pipe_id pipe, const error& reason) {
  if (auto up = by_pipe_.find(pipe); up != by_pipe_.end()) {
    connection& c = *up->second;
    end(c, c.leaving ? c.leave_reason : reason, false);
  } else if (auto h = halves_.find(pipe); h != halves_.end()) {
    if (h->second.dial != 0) return fail_dial(h->second.dial, reason);
    drops_.count("handshake_left");
    drop_half(pipe);
  } else if (auto f = farewells_.find(pipe); f != farewells_.end()) {
    loop_.cancel(f->second.timer);
    farewells_.erase(f);
    check_stopped();
  }
}

void hub_core::noise(std::string_view cause, std::string_view what) {
  if (what.empty()) drops_.count(cause);
  else drops_.drop(cause, loop_.now(), "a stranger was turned away", {{"what", what}});
}

void hub_core::send_step(pipe_id pipe, bytes message) { transport_->send(pipe, {}, std::move(message)); }

void hub_core::half_frame(half& h, std::span<const std::byte> data) {
  if (h.waits_for == half::state::refusing) return;
  if (h.dial == 0 && h.waits_for == half::state::hello && !is_step(data)) return answer_stranger(h.pipe, data);
  const pipe_id pipe = h.pipe;
  auto parsed = parse_step(data);
  result<void> taken = parsed ? take_step(h, *parsed, data) : result<void>(parsed.error());
  if (!taken) refuse(pipe, taken.error());
}

result<void> hub_core::take_step(half& h, const parsed_step& step, std::span<const std::byte> data) {
  if (step.kind == step::refused) {
    on_refusal(h, parse_refusal(step.body));
    return {};
  }
  if (step.kind == step::hello && h.waits_for == half::state::hello) return on_hello(h, step, data);
  if (step.kind == step::challenge && h.waits_for == half::state::challenge) return on_challenge(h, step, data);
  if (step.kind == step::proof && h.waits_for == half::state::proof) return on_proof(h, step, data);
  if (step.kind == step::welcome && h.waits_for == half::state::welcome) return on_welcome(h, step);
  return error(errc::bad_message, "handshake: a step out of turn");
}

// Not even a hello: bytes of anybody, or frames of a connection that has ended here. Those are told so.
void hub_core::answer_stranger(pipe_id pipe, std::span<const std::byte> data) {
  if (const auto parsed = parse_frame(data)) {
    drops_.count("ended_connection");
    send_control(pipe, parsed->id, {.kind = control::what::ended});
  } else {
    drops_.drop("stranger", loop_.now(), "a stranger's bytes were dropped",
                {{"bytes", data.size()},
                 {"begin", troupe::internal::quoted(
                               std::string_view(reinterpret_cast<const char*>(data.data()), data.size()), 24)}});
  }
  drop_half(pipe);
  transport_->close(pipe);
}

result<void> hub_core::on_hello(half& h, const parsed_step& step, std::span<const std::byte> data) {
  auto hello = parse_hello(step.body);
  if (!hello) return hello.error();
  h.peer.who.name = hello->who.name;  // for the log of a refusal
  const auto protocol = choose_protocol(hello->protocol_min, hello->protocol_max);
  if (!protocol) return protocol.error();
  if (hello->who.name == self_.name) {
    if (hello->who.creation == self_.creation) {
      met_itself(data);
      return error(errc::not_allowed, "a node cannot dial itself");
    }
    return error(errc::name_taken, "this node has the name " + self_.name + " itself");
  }
  const bool by_key = hello->secret == "control_key";
  if (by_key && !hello->who.tool) return error(errc::not_allowed, "only a tool may prove the control key");
  h.key = by_key ? security_.control_key : security_.cookie;
  if (h.key.empty()) return error(errc::bad_cookie, self_.name + " has no " + hello->secret + " to compare with");
  auto met = meet(hello->who, self_, limits_over(h.frames.over));
  if (!met) return met.error();
  h.peer = std::move(*met);
  h.peer.protocol = *protocol;
  h.peer.proved = by_key ? secret::control_key : secret::cookie;
  h.peer.encrypted = h.frames.over == channel::encrypted;
  pipe_origin origin = transport_->origin(h.pipe);
  const auto at = std::ranges::find(listening_, origin.at, &listened::real);
  h.peer.via = at == listening_.end() ? std::move(origin.at) : at->told;
  h.peer.from = std::move(origin.from);

  challenge_message challenge;
  challenge.protocol = *protocol;
  challenge.who = introduce(self_, limits_over(h.frames.over));
  challenge.nonce = draw(*random_, nonce_bytes);
  challenge.connection = draw(*random_, h.wire.size());
  std::ranges::copy(challenge.connection, h.wire.begin());
  h.frames.hello = copy(data);
  h.frames.challenge = encode_step("challenge", challenge);
  h.waits_for = half::state::proof;
  send_step(h.pipe, h.frames.challenge);
  return {};
}

// Our own hello has come back to us, which its nonce proves: what we dialled leads here, and is not dialled again.
void hub_core::met_itself(std::span<const std::byte> hello) {
  constexpr std::size_t most_own = 64;
  for (const auto& [pipe, h] : halves_) {
    if (h.dial == 0 || !std::ranges::equal(h.frames.hello, hello)) continue;
    const pending_dial& dial = dials_.at(h.dial);
    if (own_.size() == most_own) return;
    own_.push_back(dial.where);
    drops_.log(log_level::warning, "an endpoint leads to this node itself: it is not dialled again",
               {{"endpoint", dial.where.text()}, {"dialled_for", troupe::internal::quoted(dial.how.expected_name)}});
    return;
  }
}

result<void> hub_core::on_challenge(half& h, const parsed_step& step, std::span<const std::byte> data) {
  auto challenge = parse_challenge(step.body);
  if (!challenge) return challenge.error();
  pending_dial& dial = dials_.at(h.dial);
  if (challenge->protocol < protocol_min || challenge->protocol > protocol_max) {
    return error(errc::unsupported, "protocol " + std::to_string(challenge->protocol) + " was chosen, not offered");
  }
  const std::string& expected = dial.how.expected_name;
  if (!expected.empty() && challenge->who.name != expected) {
    return error(errc::noconnection, challenge->who.name + " answers at " + dial.where.text() + ", not " + expected);
  }
  if (challenge->who.name == self_.name) return error(errc::not_allowed, "a node cannot dial itself");
  auto met = meet(challenge->who, self_, limits_over(h.frames.over));
  if (!met) return met.error();
  h.peer = std::move(*met);
  h.peer.protocol = challenge->protocol;
  h.peer.proved = dial.how.prove;
  h.peer.encrypted = h.frames.over == channel::encrypted;
  h.peer.via = dial.where;
  h.peer.dialled_by_us = true;
  h.peer.dial = h.dial;
  dial.name = h.peer.who.name;
  std::ranges::copy(challenge->connection, h.wire.begin());
  h.frames.challenge = copy(data);
  const auto proof = prove_dialler(h.key, h.frames);
  h.frames.proof = encode_step("proof", proof_message(bytes(proof.begin(), proof.end())));
  h.waits_for = half::state::welcome;
  send_step(h.pipe, h.frames.proof);
  return {};
}

result<void> hub_core::on_proof(half& h, const parsed_step& step, std::span<const std::byte> data) {
  auto given = parse_proof(step.body);
  if (!given) return given.error();
  if (!troupe::internal::same_proof(*given, prove_dialler(h.key, h.frames))) {
    const error wrong(errc::bad_cookie, "the " + std::string(name_of(h.peer.proved)) + " is not that of " + self_.name);
    if (failures_.take(loop_.now())) return wrong;
    // Guessing is slowed down, honest diallers are not: each failure keeps its slot and learns late.
    drops_.count("rate_limit");
    h.waits_for = half::state::refusing;
    const pipe_id pipe = h.pipe;
    loop_.cancel(h.timer);
    h.timer = loop_.at(loop_.now() + failure_delay, [this, pipe, wrong] {
      halves_.at(pipe).timer = 0;
      refuse(pipe, wrong);
    });
    return {};
  }
  h.frames.proof = copy(data);
  strangers_of(h.far).remove(h.pipe);
  if (auto allowed = events_.admit(h.peer); !allowed) return allowed;
  settle(h.pipe);
  return {};
}

result<void> hub_core::on_welcome(half& h, const parsed_step& step) {
  auto given = parse_proof(step.body);
  if (!given) return given.error();
  if (!troupe::internal::same_proof(*given, prove_acceptor(h.key, h.frames))) {
    return error(errc::bad_cookie, h.peer.who.name + " did not prove the " + std::string(name_of(h.peer.proved)));
  }
  if (auto allowed = events_.admit(h.peer); !allowed) return allowed;
  settle_dialled(h.pipe);
  return {};
}

void hub_core::on_refusal(half& h, const error& reason) {
  const pipe_id pipe = h.pipe;
  if (h.dial != 0) {
    const dial_id dial = h.dial;
    if (reason == errc::already_started) return cross_dial(dial);
    return fail_dial(dial, reason);
  }
  drops_.drop("refused_by_dialler", loop_.now(), "the dialler ended the handshake",
              {{"peer", troupe::internal::quoted(h.peer.who.name)}, {"reason", reason.message()}});
  drop_half(pipe);
  transport_->close(pipe);
}

void hub_core::begin_dial(dial_id id, const endpoint& where, dial_options how) {
  pending_dial& dial = dials_[id];
  dial.where = where;
  dial.how = std::move(how);
  dial.name = dial.how.expected_name;
  if (stopping_) return fail_dial(id, error(errc::shutting_down, self_.name + " is stopping"));
  if (dial.name == self_.name) return fail_dial(id, error(errc::not_allowed, "a node cannot dial itself"));
  if (std::ranges::find(own_, where) != own_.end()) {
    return fail_dial(id, error(errc::not_allowed, where.text() + " leads to this node itself"));
  }
  if (connection* up = dial.name.empty() ? nullptr : find_name(dial.name)) {
    dials_.erase(id);
    return events_.dial_joined(id, up->info.id);
  }
  const bool by_cookie = dial.how.prove == secret::cookie;
  const std::string& key = by_cookie ? security_.cookie : dial.how.control_key;
  if (key.empty()) {
    return fail_dial(
        id, error(errc::bad_cookie, "no " + std::string(name_of(dial.how.prove)) + " to prove to " + where.text() +
                                        (by_cookie ? ": both sides must be given the same one (troupe keygen)" : "")));
  }
  auto over = check_endpoint(where);
  if (!over) return fail_dial(id, over.error());
  if (dial.how.encrypted && by_cookie && where.kind == endpoint::scheme::tcp) over = channel::encrypted;
  auto pipe = *over == channel::encrypted ? transport_->dial_encrypted(where, keys()) : transport_->dial(where);
  if (!pipe) return fail_dial(id, pipe.error());
  dial.pipe = *pipe;
  dial.timer = loop_.at(deadline_after(loop_.now(), limits_.handshake), [this, id] { on_dial_timeout(id); });

  hello_message hello;
  hello.protocol_min = protocol_min;
  hello.protocol_max = protocol_max;
  hello.who = introduce(self_, limits_over(*over));
  hello.secret = std::string(name_of(dial.how.prove));
  hello.nonce = draw(*random_, nonce_bytes);
  half h;
  h.pipe = *pipe;
  h.dial = id;
  h.key = key;
  h.frames.over = *over;
  h.waits_for = half::state::challenge;
  h.frames.hello = encode_step("hello", hello);
  send_step(h.pipe, h.frames.hello);
  halves_.emplace(h.pipe, std::move(h));
}

}  // namespace troupe::bus::internal
