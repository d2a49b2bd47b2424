#include "zmq/pipes.hpp"

#include <algorithm>

#include "zmq/accepted.hpp"
#include "zmq/dialled.hpp"

namespace troupe::bus::internal {

result<std::unique_ptr<zmq_pipes>> zmq_pipes::make(system_loop& loop, unsigned io_threads, resolver& names,
                                                   descriptor_reserve& reserve, transport_events& events,
                                                   const transport_settings& settings) {
  std::shared_ptr<void>& kept = loop.shared_context();
  if (!kept) {
    auto made = zmq_context::make(loop, io_threads);
    if (!made) return made.error();
    kept = *made;
  }
  auto context = std::static_pointer_cast<zmq_context>(kept);
  std::unique_ptr<zmq_shared> shared(new zmq_shared{std::move(context), loop, reserve, names, events, settings});
  std::unique_ptr<zmq_pipes> out(new zmq_pipes(std::move(shared)));
  loop.add(*out);
  return out;
}

zmq_pipes::zmq_pipes(std::unique_ptr<zmq_shared> shared)
    : shared_(std::move(shared)), dialled_(std::make_unique<dialled_pipes>(*shared_)) {}

zmq_pipes::~zmq_pipes() { close_all(); }

result<endpoint> zmq_pipes::listen(const endpoint& where, kept_keys keys) {
  auto made = accepted_pipes::listen(*shared_, where, std::move(keys));
  if (!made) return made.error();
  listeners_.push_back(std::move(*made));
  return listeners_.back()->where();
}

// It may be one of its own frames that led here: it is destroyed between turns.
void zmq_pipes::unlisten(const endpoint& where) {
  auto found = std::ranges::find_if(listeners_, [&where](const auto& one) { return one->where() == where; });
  if (found == listeners_.end()) return;
  (*found)->unlisten();
  former_.push_back(std::move(*found));
  listeners_.erase(found);
}

result<pipe_id> zmq_pipes::dial(const endpoint& where, kept_keys keys) {
  const pipe_id id = ++shared_->last;
  if (auto dialled = dialled_->dial(id, where, std::move(keys)); !dialled) return dialled.error();
  return id;
}

accepted_pipes* zmq_pipes::acceptor_of(pipe_id id) const noexcept {
  auto found = shared_->accepted.find(id);
  return found == shared_->accepted.end() ? nullptr : found->second;
}

bool zmq_pipes::send(pipe_id id, std::span<const std::byte> header, const frame_payload& payload) {
  if (auto* acceptor = acceptor_of(id)) return acceptor->send(id, header, payload);
  return dialled_->send(id, header, payload);
}

void zmq_pipes::close(pipe_id id) {
  if (auto* acceptor = acceptor_of(id)) acceptor->close(id);
  else dialled_->close(id);
}

void zmq_pipes::trust(pipe_id id) {
  if (auto* acceptor = acceptor_of(id)) acceptor->trust(id);
  else dialled_->trust(id);
}

bool zmq_pipes::is_encrypted(pipe_id id) const noexcept {
  if (const auto* acceptor = acceptor_of(id)) return acceptor->is_encrypted();
  return dialled_->is_encrypted(id);
}

std::string zmq_pipes::source(pipe_id id) const {
  const auto* acceptor = acceptor_of(id);
  return acceptor == nullptr ? std::string() : acceptor->source(id);
}

pipe_origin zmq_pipes::origin(pipe_id accepted) const { return shared_->accepted.at(accepted)->origin(accepted); }

void zmq_pipes::close_all() {
  if (stopped_) return;
  stopped_ = true;
  for (const auto& one : listeners_) one->close_all();
  for (const auto& one : former_) one->close_all();
  dialled_->close_all();
  shared_->loop.remove(*this);
}

appetite zmq_pipes::turn() {
  shared_->list.read_all();
  if (stopped_) return appetite::none;
  bool probing = false;
  for (const auto& one : listeners_) probing |= one->probe();
  for (const auto& one : former_) probing |= one->probe();
  shared_->list.look_all();
  dialled_->bury();
  std::erase_if(former_, [](const auto& one) { return one->is_over(); });
  if (shared_->list.hungry()) return appetite::now;
  return probing ? appetite::soon : appetite::none;
}

}  // namespace troupe::bus::internal
