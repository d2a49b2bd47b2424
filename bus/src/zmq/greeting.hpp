#pragma once
// What does a listener speak? Asked when a dial was cut off during ZeroMQ's handshake, which has several causes.
#include <functional>
#include <memory>
#include <string>

#include <troupe/bus/endpoint.hpp>

#include "zmq/watched.hpp"

namespace troupe::bus::internal {

// Design notes.
// ZMTP begins with a greeting of 64 bytes on both sides, which names the sender's mechanism: NULL (plain) or CURVE.
// When they differ, whoever has read the other's greeting first closes, often before its own has left, so the other
// side sees no more than a closed connection; and a wrong key looks just the same. A greeting that stops after the
// version makes the listener send all of its own, and decides nothing: so the answer tells what is there, each time.
// Owner: a dialled pipe; the loop's thread. One question in its life.
class greeting_probe final : public watched {
 public:
  enum class answer : std::uint8_t { nobody, other, plain, curve };

  // `done` is called once, and must not destroy this.
  greeting_probe(watch_list& list, std::function<void(answer)> done);
  ~greeting_probe() override;
  [[nodiscard]] result<void> open(const std::shared_ptr<zmq_context>& context, const endpoint& where, bool ipv6);
  void shut();
  bool read() override;

 private:
  class monitor_reader;

  void greet(std::string_view route);
  void finish(answer what);

  watch_list& list_;
  std::function<void(answer)> done_;
  std::unique_ptr<monitor_reader> monitor_;
  std::string got_;
  bool greeted_ = false;
};

}  // namespace troupe::bus::internal
