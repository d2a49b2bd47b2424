#pragma once
// One ZeroMQ connection, plain or encrypted, on a stream socket of its own, read and written by the loop's thread.
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <troupe/error.hpp>

#include "system_loop.hpp"
#include "unique_fd.hpp"
#include "zmtp/codec.hpp"
#include "zmtp/curve.hpp"
#include "zmtp/raw_bytes.hpp"
#include "zmtp/unsent.hpp"

namespace troupe::bus::internal::zmtp {

using troupe::internal::unique_fd;

enum class side : std::uint8_t { dialler, acceptor };

class stream;

// What the other side speaks, as far as that was seen: `plain` and `curve` where we speak the other of these, `zmtp`
// when it is what we speak. `answers`: the same, of a listener that says ERROR to keys that it does not let in.
enum class spoke : std::uint8_t { nothing, other, plain, curve, zmtp, answers };

// What a stream tells, on the loop's thread. `ended` comes once and last; the stream may be destroyed in neither.
class stream_events {
 public:
  virtual ~stream_events() = default;
  virtual void frame(stream& of, std::span<const std::byte> data) = 0;
  // A message of several parts came, and was thrown away.
  virtual void parts(stream& of) = 0;
  // Nothing more can come.
  virtual void ended(stream& of, spoke how, const error& why) = 0;
};

// Design notes.
// * The dialler says no more than the beginning of its greeting before it has seen the listener's: one that does not
//   speak its mechanism closes at once, and could not be told from one that is gone.
// * What is read goes into a buffer that all streams of a transport share, and frames are told in place; only the part
//   of one that is not whole yet is kept. What a socket does not take at once is kept too: the hub's credit bounds it.
// * What is kept grows with what has come, not with what a frame's head claims. Who has proved nothing (until `trust`)
//   may make us keep little, and all of those together `most_strangers_parts`, besides the first bytes of each: our
//   handshake needs no more.
// * Our answers to PING are bounded while the other side does not read them.
// * What is encrypted is sealed as it is sent and opened as it is read, in two buffers that all streams share. Before
//   CURVE's handshake is over no message is taken at all, and of commands `longest_command`.
// * When writing fails, what has arrived is still read to its end: that ends the stream.
// * `finish` says what is queued, then that no more will come, and waits for the other side to hang up: closed at once,
//   a socket with unread bytes resets the connection and throws away our last words. Who owns it bounds that wait.
class stream final : public fd_watcher {
 public:
  // What all streams of a transport share.
  struct shared {
    system_loop& loop;
    stream_events& events;
    std::size_t longest;              // body of a frame
    std::size_t strangers_longest;    // the same, of one that has proved nothing
    std::size_t encrypted_longest;    // what it holds, of an encrypted one that has
    raw_bytes room = {};              // to read into
    raw_bytes opened = {};            // what the last encrypted frame held
    raw_bytes sealed = {};            // the frame that is being sent
    std::size_t strangers_parts = 0;  // what all of those make us keep
  };

  // `connecting`: `socket` is a dial that the kernel has not finished. `encryption`: none for plain text.
  stream(shared& with, unique_fd socket, side which, bool connecting, std::unique_ptr<curve> encryption);
  ~stream() override;
  stream(const stream&) = delete;
  stream& operator=(const stream&) = delete;

  // Watches the socket, says the first words. errc::system_limit.
  [[nodiscard]] result<void> begin();
  // Header and body of one message; before the handshake it waits. False when nothing can be said any more.
  bool send(std::span<const std::byte> header, frame_payload body);
  // Bytes that are whole messages with their heads, for after the handshake.
  void hold(std::span<const std::byte> messages) { held_.append(messages); }
  // Those that a handshake which came to nothing left; also of one that is shut.
  [[nodiscard]] raw_bytes take_held() { return std::exchange(held_, {}); }
  // The other side has proved who it is.
  void trust();
  [[nodiscard]] std::size_t unsent_bytes() const noexcept { return out_.size(); }
  void finish();
  // Without another event, at once: `leave` first says what can be said without waiting.
  void leave();
  void shut();

  [[nodiscard]] bool is_shut() const noexcept { return !socket_; }
  [[nodiscard]] bool is_connecting() const noexcept { return step_ == step::connecting; }
  [[nodiscard]] bool is_ready() const noexcept { return step_ == step::open; }
  [[nodiscard]] side which() const noexcept { return side_; }

 private:
  enum class step : std::uint8_t { connecting, greeting, ready, open };

  void readable() override;
  void writable() override;
  void write_queued();
  void connected();
  [[nodiscard]] std::array<std::byte, greeting_bytes> our_greeting() const noexcept;
  [[nodiscard]] bool take_read(std::span<const std::byte> fresh);
  [[nodiscard]] bool take(std::span<const std::byte>& data);
  void take_arrived();
  [[nodiscard]] bool keep(std::span<const std::byte> rest);
  [[nodiscard]] bool make_room(std::size_t size);
  void count_part();
  [[nodiscard]] std::size_t longest() const noexcept;
  [[nodiscard]] bool take_greeting(std::span<const std::byte>& data);
  [[nodiscard]] bool take_frame(const frame& one);
  [[nodiscard]] bool take_sealed(const frame& one);
  [[nodiscard]] bool take_message(bool more, std::span<const std::byte> body);
  [[nodiscard]] bool take_command(std::span<const std::byte> body);
  [[nodiscard]] bool take_ping(std::string_view data);
  [[nodiscard]] bool take_handshake(const command& what);
  [[nodiscard]] bool open_up(socket_type theirs);
  bool write_sealed(bool is_command, std::span<const std::span<const std::byte>> parts);
  void write_frames(std::span<const std::byte> whole);
  bool write(std::span<const std::byte> a, std::span<const std::byte> b = {}, frame_payload c = {});
  bool write(std::string_view text) { return text.empty() || write(std::as_bytes(std::span(text))); }
  [[nodiscard]] std::size_t take_out(std::span<iovec> from);
  void want_writable(bool want);
  void fail(const error& why, spoke how);

  shared& with_;
  unique_fd socket_;
  const side side_;
  step step_;
  bool dropping_ = false;   // within a message of several parts
  bool finishing_ = false;  // what comes is thrown away
  bool cannot_write_ = false;
  bool wants_writable_ = false;
  const std::unique_ptr<curve> curve_;  // none for plain text
  spoke spoke_ = spoke::nothing;
  bool trusted_ = false;
  raw_bytes part_;                // of a frame, or of the greeting
  std::size_t part_counted_ = 0;  // of it, in `shared::strangers_parts`
  std::size_t part_wanted_ = 0;   // how long that will be; 0 when it is not known yet
  unsent out_;
  std::size_t pongs_ = 0;  // bytes of them that were queued since nothing was
  raw_bytes held_;         // messages that wait for the handshake
};

}  // namespace troupe::bus::internal::zmtp
