// Who keeps a name, how a handshake is refused, how a dial ends. The table of cases stands in hub_core.hpp.
#include <algorithm>

#include <troupe/expect.hpp>

#include "hub_core.hpp"
#include "quoted.hpp"

namespace troupe::bus::internal {
namespace {

constexpr duration probe_patience = std::chrono::seconds(2);

map about(const half& h, const error& reason) {
  map out;
  if (!h.peer.who.name.empty()) out.emplace_back("peer", troupe::internal::quoted(h.peer.who.name));
  out.emplace_back("code", reason.name());
  out.emplace_back("reason", troupe::internal::quoted(reason.text(), 256));
  return out;
}

}  // namespace

half& hub_core::found_half(pipe_id pipe) {
  TROUPE_EXPECT(loop_.inside(), "pipe", pipe);
  auto found = halves_.find(pipe);
  TROUPE_EXPECT(found != halves_.end(), "pipe", pipe, "halves", halves_.size());
  return found->second;
}

pending_dial& hub_core::found_dial(dial_id id) {
  TROUPE_EXPECT(loop_.inside(), "dial", id);
  auto found = dials_.find(id);
  TROUPE_EXPECT(found != dials_.end(), "dial", id, "dials", dials_.size());
  return found->second;
}

void hub_core::drop_half(pipe_id pipe) {
  auto found = halves_.find(pipe);
  if (found == halves_.end()) return;
  if (found->second.timer != 0) loop_.cancel(found->second.timer);
  strangers_of(found->second.far).remove(pipe);
  halves_.erase(found);
}

// Tells the other side why, logs it here, and ends the handshake.
void hub_core::refuse(pipe_id pipe, const error& reason) {
  half& h = found_half(pipe);
  send_step(pipe, encode_step("refused", error(reason.code(), reason.text().substr(0, 1024))));
  if (h.dial != 0) return fail_dial(h.dial, reason);
  drops_.drop(to_string(reason.code()), loop_.now(), "a handshake was refused", about(h, reason));
  drop_half(pipe);
  transport_->close(pipe);
}

void hub_core::fail_dial(dial_id id, const error& reason) {
  pending_dial dial = std::move(found_dial(id));  // each ends once
  dials_.erase(id);
  if (dial.timer != 0) loop_.cancel(dial.timer);
  if (dial.pipe != 0) {
    drop_half(dial.pipe);
    transport_->close(dial.pipe);
  }
  const bool own = std::ranges::find(own_, dial.where) != own_.end();  // that was said when it was found out
  const bool quiet = own || reason == errc::noconnection || reason == errc::cancelled || reason == errc::shutting_down;
  map fields{{"endpoint", dial.where.text()},
             {"code", reason.name()},
             {"reason", troupe::internal::quoted(reason.text(), 256)}};
  if (!dial.name.empty()) fields.emplace_back("peer", dial.name);
  drops_.log(quiet ? log_level::info : log_level::warning, "a dial failed", std::move(fields));
  events_.dial_failed(id, reason);
}

void hub_core::on_dial_timeout(dial_id id) {
  pending_dial& dial = found_dial(id);
  dial.timer = 0;
  auto h = halves_.find(dial.pipe);
  const bool heard = h != halves_.end() && h->second.waits_for != half::state::challenge;
  error reason(errc::timeout, (heard ? dial.name + " did not finish the handshake" : "no answer") + " within " +
                                  std::to_string(limits_.handshake.count()) + " ms at " + dial.where.text());
  if (h != halves_.end()) return refuse(dial.pipe, reason);
  fail_dial(id, reason);
}

// The peer's own dial crosses ours and wins: ours waits for it, until its deadline.
void hub_core::cross_dial(dial_id id) {
  pending_dial& dial = found_dial(id);
  drop_half(dial.pipe);
  transport_->close(std::exchange(dial.pipe, 0));
  if (connection* up = find_name(dial.name)) {
    if (dial.timer != 0) loop_.cancel(dial.timer);
    dials_.erase(id);
    events_.dial_joined(id, up->info.id);
  }
}

// An accepted handshake whose proof held.
void hub_core::settle(pipe_id pipe) {
  auto found = halves_.find(pipe);
  if (found == halves_.end()) return;
  half& h = found->second;
  if (stopping_) return refuse(pipe, error(errc::shutting_down, self_.name + " is stopping"));
  // The end of an old one settles who waited for its name: one of those may have it then.
  while (connection* old = find_name(h.peer.who.name)) {
    if (!settle_with(h, *old)) return;
  }
  if (!settle_dials(h)) return;
  accept(h);
}

// True when the old connection has ended and `h` goes on.
bool hub_core::settle_with(half& h, connection& old) {
  const bool same_life = old.info.who.creation == h.peer.who.creation;
  if (same_life && (!old.info.dialled_by_us || self_.name > h.peer.who.name)) {
    end(old, error(errc::noconnection, "replaced by a new connection of the same life"), false);
    return true;
  }
  h.crossing = same_life;
  contend(h, old);
  return false;
}

// True when no dial of ours stands in the way.
bool hub_core::settle_dials(half& h) {
  for (auto& [id, dial] : dials_) {
    if (dial.pipe == 0 || dial.name != h.peer.who.name) continue;
    auto own = halves_.find(dial.pipe);
    const bool answered = own != halves_.end() && own->second.waits_for != half::state::challenge;
    // One that nobody has answered yet may lead nowhere: it gives way.
    if (self_.name < h.peer.who.name && answered) {
      refuse(h.pipe, error(errc::already_started, "crossing dials: that of " + self_.name + " is kept"));
      return false;
    }
    drop_half(dial.pipe);
    transport_->close(std::exchange(dial.pipe, 0));  // `bring_up` gives the dial its connection
  }
  return true;
}

void hub_core::contend(half& h, connection& old) {
  h.waits_for = half::state::contending;
  if (h.timer != 0) loop_.cancel(std::exchange(h.timer, 0));
  old.contenders.push_back(h.pipe);
  if (old.contenders.size() == 1) {
    ask(old, probe_patience, "silent while another life asked for its name");
  }
}

// The old connection lives.
void hub_core::answered_probe(connection& old) {
  for (const pipe_id pipe : std::exchange(old.contenders, {})) {
    auto found = halves_.find(pipe);
    if (found == halves_.end() || found->second.waits_for != half::state::contending) continue;
    refuse(pipe, found->second.crossing
                     ? error(errc::already_started, "a connection to " + self_.name + " is up")
                     : error(errc::name_taken, "another life of " + old.info.who.name + " is connected and answers"));
  }
}

void hub_core::accept(half& h) {
  const auto proof = prove_acceptor(h.key, h.frames);
  bytes welcome = encode_step("welcome", proof_message(bytes(proof.begin(), proof.end())));
  const pipe_id pipe = h.pipe;
  send_step(pipe, std::move(welcome));
  ++accepted_;
  bring_up(h);
}

// A dialled handshake that is complete: the other side counts it as up already.
void hub_core::settle_dialled(pipe_id pipe) {
  half& h = found_half(pipe);
  if (connection* old = find_name(h.peer.who.name)) {
    const bool same_life = old->info.who.creation == h.peer.who.creation;
    if (same_life && !old->info.dialled_by_us && self_.name > h.peer.who.name) {
      const dial_id dial = h.dial;
      const connection_id kept = old->info.id;
      drop_half(pipe);
      transport_->close(pipe);
      loop_.cancel(found_dial(dial).timer);
      dials_.erase(dial);
      return events_.dial_joined(dial, kept);
    }
    end(*old, error(errc::noconnection, "replaced by a new connection that this node dialled"), false);
    if (!halves_.contains(pipe)) return;  // who waited for that name has it, and has joined this dial
  }
  loop_.cancel(found_dial(h.dial).timer);
  dials_.erase(h.dial);
  ++dialled_;
  bring_up(h);
}

}  // namespace troupe::bus::internal
