#pragma once
// The two ends of a codec: where encoders write and decoders read, and their forms for msgpack on the wire. The form
// for trees of values is behind `value_writer` and `value_reader` in <troupe/codec.hpp>. The bytes: bus/PROTOCOL.md,
// "Values".
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <troupe/error.hpp>
#include <troupe/limits.hpp>
#include <troupe/value.hpp>

namespace troupe {

// Where an encoder writes. Implementations: the wire (`wire_sink`) and a tree of values (`value_writer`).
class writer {
 public:
  virtual ~writer() = default;
  virtual void put_nil() = 0;
  virtual void put_bool(bool b) = 0;
  virtual void put_int(std::int64_t number) = 0;
  virtual void put_uint(std::uint64_t number) = 0;
  virtual void put_real(double number) = 0;
  virtual void put_text(std::string_view text) = 0;
  virtual void put_bytes(std::span<const std::byte> data) = 0;
  virtual void begin_list(std::size_t items) = 0;   // followed by exactly that many values
  virtual void begin_map(std::size_t entries) = 0;  // followed by key, value, key, value, …
  virtual void put_pid(pid p) = 0;
  virtual void put_ref(ref r) = 0;
  virtual void put_ext(std::int8_t type, std::span<const std::byte> data) = 0;
  virtual void put_value(const value& v);
};

// Where a decoder reads. The first error sticks: every later read fails too, so callers check once. Texts and bytes
// point into the source and live as long as it does.
class reader {
 public:
  virtual ~reader() = default;
  [[nodiscard]] virtual value::kind peek() = 0;  // of the next value; nil after an error and at the end
  virtual bool read_nil() = 0;
  virtual bool read_bool(bool& out) = 0;
  virtual bool read_int(std::int64_t& out) = 0;    // an unsigned beyond INT64_MAX is an error here
  virtual bool read_uint(std::uint64_t& out) = 0;  // a negative number is an error here
  virtual bool read_real(double& out) = 0;
  virtual bool read_text(std::string_view& out) = 0;
  virtual bool read_bytes(std::span<const std::byte>& out) = 0;
  virtual bool begin_list(std::size_t& items) = 0;
  virtual bool begin_map(std::size_t& entries) = 0;
  virtual bool read_pid(pid& out) = 0;
  virtual bool read_ref(ref& out) = 0;
  virtual bool read_ext(std::int8_t& type, std::span<const std::byte>& data) = 0;
  virtual bool skip() = 0;  // the next value, whatever it is
  virtual bool read_value(value& out);

  [[nodiscard]] bool ok() const noexcept { return !failed_; }
  [[nodiscard]] const error& failure() const noexcept { return failure_; }
  bool fail(std::string_view what) { return fail(errc::bad_message, what); }  // keeps the first; always false
  bool fail(errc code, std::string_view what);

  // The path to the value being read, kept by those who enter containers.
  void enter(std::string_view field) noexcept { push({field.data() ? field.data() : "", field.size()}); }
  void enter(std::size_t index) noexcept { push({nullptr, index}); }
  void leave() noexcept { --path_size_; }

  // Nesting that any reader can follow, whatever `limits::depth` says: its state lives inside it, without allocation.
  static constexpr std::size_t max_depth = 128;

 protected:
  reader() noexcept {}  // not defaulted: an empty path needs no zeroed array
  reader(const reader&) = delete;
  reader& operator=(const reader&) = delete;
  bool mismatch(std::string_view expected);  // "… expected, <peek()> found"

 private:
  struct step {
    const char* field;  // nullptr: `size` is an index
    std::size_t size;
  };
  void push(step s) noexcept {
    if (path_size_ < max_depth) path_[path_size_] = s;  // deeper steps are counted and not printed
    ++path_size_;
  }
  [[nodiscard]] std::string path_text() const;

  bool failed_ = false;
  std::size_t path_size_ = 0;
  std::array<step, max_depth> path_;
  error failure_;
};

// Appends msgpack to a buffer that the caller may reuse. Owner: the caller; not thread-safe.
class wire_buffer {
 public:
  [[nodiscard]] std::span<const std::byte> data() const noexcept { return data_; }
  [[nodiscard]] std::size_t size() const noexcept { return data_.size(); }
  void clear() noexcept { data_.clear(); }
  [[nodiscard]] bytes take() && noexcept { return std::move(data_); }
  bytes& raw() noexcept { return data_; }

 private:
  bytes data_;
};

// Writes msgpack, every value in its shortest form, to the end of a buffer that outlives it. Lives on the stack of
// whoever encodes. A text, list or the like of 2^32 or more throws std::length_error: msgpack has no form for it.
class wire_sink final : public writer {
 public:
  explicit wire_sink(wire_buffer& out) noexcept : out_(out.raw()) {}
  void put_nil() override;
  void put_bool(bool b) override;
  void put_int(std::int64_t number) override;
  void put_uint(std::uint64_t number) override;
  void put_real(double number) override;
  void put_text(std::string_view text) override;
  void put_bytes(std::span<const std::byte> data) override;
  void begin_bytes(std::size_t size);  // followed by so many, which the caller puts behind what is written here
  void begin_list(std::size_t items) override;
  void begin_map(std::size_t entries) override;
  void put_pid(pid p) override;
  void put_ref(ref r) override;
  void put_ext(std::int8_t type, std::span<const std::byte> data) override;
  void put_value(const value& v) override;

 private:
  void put_id(std::int8_t type, const node_life* life, std::uint64_t id);

  bytes& out_;
};

// Reads msgpack strictly and within `budget`, from bytes that may come from anybody and that outlive it. Allocates
// nothing before an error. A container that announces more items than bytes are left, or more than the budget of nodes,
// is refused at its header. Lives on the stack of whoever decodes; several values may be read one after the other.
class wire_source final : public reader {
 public:
  explicit wire_source(std::span<const std::byte> in, const limits& budget = {}) noexcept
      : at_(in.data()),
        end_(in.data() + in.size()),
        begin_(in.data()),
        nodes_left_(budget.value_nodes),
        depth_limit_(budget.depth < max_depth ? budget.depth : max_depth) {}

  [[nodiscard]] std::size_t position() const noexcept { return static_cast<std::size_t>(at_ - begin_); }  // bytes used
  [[nodiscard]] bool at_end() const noexcept { return at_ == end_; }

  [[nodiscard]] value::kind peek() override;
  bool read_nil() override;
  bool read_bool(bool& out) override;
  bool read_int(std::int64_t& out) override;
  bool read_uint(std::uint64_t& out) override;
  bool read_real(double& out) override;
  bool read_text(std::string_view& out) override;
  bool read_bytes(std::span<const std::byte>& out) override;
  bool begin_list(std::size_t& items) override;
  bool begin_map(std::size_t& entries) override;
  bool read_pid(pid& out) override;
  bool read_ref(ref& out) override;
  bool read_ext(std::int8_t& type, std::span<const std::byte>& data) override;
  bool skip() override;
  bool read_value(value& out) override;

 private:
  struct number {
    std::uint64_t bits;
    bool negative;
  };
  struct ext_head {
    std::size_t header;
    std::size_t length;
    std::int8_t type;
  };
  [[nodiscard]] std::size_t left() const noexcept { return static_cast<std::size_t>(end_ - at_); }
  template <std::size_t Width>
  [[nodiscard]] bool load(std::uint64_t& out) const noexcept;
  [[nodiscard]] bool sized(std::size_t width, std::size_t& header, std::size_t& length) const noexcept;
  [[nodiscard]] bool ext_header(ext_head& out) const noexcept;
  bool wrong(std::string_view expected);
  bool truncated();
  bool charge();
  bool open(std::size_t header, std::size_t count, std::size_t values, std::string_view what);
  bool read_number(number& out);
  bool read_id(std::int8_t type, std::string_view what, const node_life*& life, std::uint64_t& id);
  bool skip_one(std::size_t& values);

  const std::byte* at_;
  const std::byte* end_;
  const std::byte* begin_;
  std::size_t nodes_left_;
  std::size_t depth_limit_;
  std::size_t depth_ = 0;                           // containers open; one that has ended leaves with the next value
  std::array<std::uint64_t, max_depth> remaining_;  // values still to come in each
};

}  // namespace troupe
