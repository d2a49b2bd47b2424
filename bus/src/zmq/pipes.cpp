#include "zmq/pipes.hpp"

#include "zmq/accepted.hpp"
#include "zmq/dialled.hpp"

namespace troupe::bus::internal {

result<std::unique_ptr<zmq_pipes>> zmq_pipes::make(system_loop& loop, unsigned io_threads, descriptor_reserve& reserve,
                                                   resolver& names, transport_events& events,
                                                   const transport_settings& settings) {
  std::shared_ptr<void>& shared = loop.shared_context();
  if (!shared) {
    auto made = zmq_context::make(loop, io_threads);
    if (!made) return made.error();
    shared = *made;
  }
  auto context = std::static_pointer_cast<zmq_context>(shared);
  std::unique_ptr<zmq_pipes> out(new zmq_pipes(loop));
  out->accepted_ = std::make_unique<accepted_pipes>(context, loop, *out->list_, reserve, events, settings);
  out->dialled_ = std::make_unique<dialled_pipes>(context, *out->list_, names, events, settings);
  loop.add(*out);
  return out;
}

zmq_pipes::zmq_pipes(system_loop& loop) : loop_(loop), list_(std::make_unique<watch_list>(loop)) {}

zmq_pipes::~zmq_pipes() { stop(); }

result<endpoint> zmq_pipes::listen(const endpoint& where, const channel_keys& keys) {
  return accepted_->listen(where, keys);
}

void zmq_pipes::unlisten(const endpoint& where) { accepted_->unlisten(where); }

result<pipe_id> zmq_pipes::dial(const endpoint& where, const channel_keys& keys) {
  const pipe_id id = last_ += 2;
  if (auto dialled = dialled_->dial(id, where, keys); !dialled) return dialled.error();
  return id;
}

bool zmq_pipes::send(pipe_id id, std::span<const std::byte> header, const frame_payload& payload) {
  return accepted_pipes::is_one(id) ? accepted_->send(id, header, payload) : dialled_->send(id, header, payload);
}

void zmq_pipes::close(pipe_id id) {
  if (accepted_pipes::is_one(id)) accepted_->close(id);
  else dialled_->close(id);
}

std::string zmq_pipes::source(pipe_id id) const {
  return accepted_pipes::is_one(id) ? accepted_->source(id) : std::string();
}

pipe_origin zmq_pipes::origin(pipe_id accepted) const { return accepted_->origin(accepted); }

void zmq_pipes::stop() {
  if (stopped_) return;
  accepted_->close_all();
  dialled_->close_all();
  loop_.remove(*this);
  stopped_ = true;
}

appetite zmq_pipes::turn() {
  list_->read_all();
  if (stopped_) return appetite::none;
  const bool probing = accepted_->probe();
  list_->look_all();
  dialled_->bury();
  if (list_->hungry()) return appetite::now;
  return probing ? appetite::soon : appetite::none;
}

}  // namespace troupe::bus::internal
