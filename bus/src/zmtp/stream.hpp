#pragma once
// One plain ZeroMQ connection on a stream socket of its own, read and written by the loop's thread.
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <troupe/error.hpp>

#include "system_loop.hpp"
#include "unique_fd.hpp"
#include "zmtp/codec.hpp"
#include "zmtp/unsent.hpp"

namespace troupe::bus::internal::zmtp {

using troupe::internal::unique_fd;

// Bytes whose room is not zeroed first.
class raw_bytes {
 public:
  [[nodiscard]] std::byte* data() const noexcept { return data_.get(); }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] std::span<const std::byte> span() const noexcept { return {data_.get(), size_}; }
  void reserve(std::size_t capacity);
  void set_size(std::size_t size) noexcept { size_ = size; }  // at most the capacity
  void append(std::span<const std::byte> more);
  void clear() noexcept { size_ = 0; }

 private:
  std::unique_ptr<std::byte[]> data_;
  std::size_t size_ = 0, capacity_ = 0;
};

enum class side : std::uint8_t { dialler, acceptor };

class stream;

// What the other side speaks, as far as that was seen.
enum class spoke : std::uint8_t { nothing, other, curve, zmtp };

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
    raw_bytes room = {};              // to read into
    std::size_t strangers_parts = 0;  // what all of those make us keep
  };

  // `connecting`: `socket` is a dial that the kernel has not finished.
  stream(shared& with, unique_fd socket, side which, bool connecting);
  ~stream() override;
  stream(const stream&) = delete;
  stream& operator=(const stream&) = delete;

  // Watches the socket, says the first words. errc::system_limit.
  [[nodiscard]] result<void> begin();
  // Header and body of one message; before the handshake it waits. False when nothing can be said any more.
  bool send(std::span<const std::byte> header, frame_payload body);
  // The same for bytes that are whole messages with their heads.
  bool send_framed(std::span<const std::byte> messages);
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
  [[nodiscard]] bool take_read(std::span<const std::byte> fresh);
  [[nodiscard]] bool take(std::span<const std::byte>& data);
  void take_arrived();
  [[nodiscard]] bool keep(std::span<const std::byte> rest);
  [[nodiscard]] bool make_room(std::size_t size);
  void count_part();
  [[nodiscard]] bool take_greeting(std::span<const std::byte>& data);
  [[nodiscard]] bool take_frame(const frame& one);
  [[nodiscard]] bool take_command(std::span<const std::byte> body);
  [[nodiscard]] bool open_up(const command& ready);
  bool write(std::span<const std::byte> a, std::span<const std::byte> b = {}, frame_payload c = {});
  bool write(std::string_view text) { return write(std::as_bytes(std::span(text))); }
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
