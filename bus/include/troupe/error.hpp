#pragma once
// Errors that a correct program must expect: a small numbered code that travels, with a text for the reader.
#include <cstdint>
#include <expected>
#include <source_location>
#include <string>
#include <string_view>
#include <utility>

namespace troupe {

// Numbers go over the wire (bus/PROTOCOL.md): fixed, never reused. An unknown number from a newer peer is kept as it
// is.
enum class errc : std::uint16_t {
  none = 0,
  timeout = 1,         // a deadline passed
  noproc = 2,          // no such process, or no process under that name
  noconnection = 3,    // the node is not connected, or was lost
  name_taken = 4,      // another process, node or life holds the name
  not_allowed = 5,     // refused by policy or by who asked
  bad_message = 6,     // bytes or a value that do not have the promised shape
  too_large = 7,       // over a documented limit
  overloaded = 8,      // a bounded queue is full
  system_limit = 9,    // a table is full: processes, nodes, descriptors
  undef = 10,          // no such function in the catalogue
  bad_cookie = 11,     // the proof of the cookie or the control key failed
  unsupported = 12,    // protocol version, feature or option that this side does not have
  stale = 13,          // a pid of an older life of that node
  shutting_down = 14,  // the node is stopping
  bad_argument = 15,   // wrong number, type or range of arguments
  exception = 16,      // the called function threw
  exited = 17,         // the called process ended before it replied; the text is its exit reason
  already_started = 18,
  already_named = 19,  // the process has a local name already
  bad_name = 20,       // not a legal name
  not_found = 21,      // no such child, key, file
  bad_config = 22,     // configuration that the schema refuses
  cannot_wait = 23,    // a wait where no wait is possible
  io = 24,             // the operating system refused; the text says what
  closed = 25,         // the connection was ended by its other side
  cancelled = 26,
  running = 27,  // restart_child of a child that runs
  restarting = 28,
  not_responding = 29,  // a server that does not answer system messages: busy, stuck, or none
};

// What a caller can do about it.
enum class error_kind { retry_later, reconnect, give_up, bug };

[[nodiscard]] error_kind kind_of(errc code) noexcept;
[[nodiscard]] std::string_view to_string(errc code) noexcept;  // "noproc"; "error_999" is spelled by `error::name`
[[nodiscard]] errc errc_from(std::string_view name) noexcept;  // errc::none when unknown

// A value: code, a text that names what was wrong, comparable by code. One word long, because results are in the frame
// of every process that waits.
class error {
 public:
  error() noexcept = default;
  error(errc code, std::string text = {});
  error(const error& other) : word_(other.is_record() ? copy_of(other.at()) : other.word_) {}
  error(error&& other) noexcept : word_(std::exchange(other.word_, nothing)) {}
  error& operator=(error other) noexcept {
    std::swap(word_, other.word_);
    return *this;
  }
  ~error() {
    if (is_record()) drop(&at());
  }

  [[nodiscard]] errc code() const noexcept { return is_record() ? at().code : static_cast<errc>(word_ >> code_shift); }
  [[nodiscard]] const std::string& text() const noexcept;
  [[nodiscard]] error_kind kind() const noexcept { return kind_of(code()); }
  [[nodiscard]] std::string name() const;     // "timeout", or "error_999" for a number this version does not know
  [[nodiscard]] std::string message() const;  // "timeout: no answer within 5 s"

  // May the asked function have run although no answer came?
  [[nodiscard]] bool maybe_executed() const noexcept {
    return is_record() ? at().maybe_executed : (word_ & executed_bit) != 0;
  }
  error& set_maybe_executed(bool value) noexcept;

  friend bool operator==(const error& a, const error& b) noexcept { return a.code() == b.code(); }
  friend bool operator==(const error& a, errc b) noexcept { return a.code() == b; }

 private:
  struct record {
    errc code;
    bool maybe_executed;
    std::string text;
  };
  // With a text the address of a record; else the lowest bit is set, then come the flag and the code.
  static constexpr std::uintptr_t nothing = 1, executed_bit = 2;
  static constexpr unsigned code_shift = 2;

  [[nodiscard]] bool is_record() const noexcept { return (word_ & 1) == 0; }
  [[nodiscard]] record& at() const noexcept { return *reinterpret_cast<record*>(word_); }
  [[nodiscard]] static std::uintptr_t copy_of(const record& from);
  static void drop(record* what) noexcept;

  std::uintptr_t word_ = nothing;
};

namespace detail {

// Thrown by `or_exit()`; the process entry turns it into the exit reason. Nothing else may catch it.
struct exit_by_error {
  error cause;
  std::source_location where;
};

}  // namespace detail

// std::expected with one more word: `or_exit()` ends the calling *process* with the error as its exit reason, as OTP's
// callers do. Outside a process it is an exception like any other.
template <class T>
class [[nodiscard]] result : public std::expected<T, error> {
 public:
  using base = std::expected<T, error>;
  using base::base;
  result(base other) : base(std::move(other)) {}
  result(errc code, std::string text = {}) : base(std::unexpect, code, std::move(text)) {}
  result(error e) : base(std::unexpect, std::move(e)) {}

  T or_exit(std::source_location where = std::source_location::current()) && {
    if (!this->has_value()) throw detail::exit_by_error{std::move(this->error()), where};
    if constexpr (!std::is_void_v<T>) return std::move(**this);
  }
  T or_exit(std::source_location where = std::source_location::current()) & { return std::move(*this).or_exit(where); }
};

[[nodiscard]] inline std::unexpected<error> failure(errc code, std::string text = {}) {
  return std::unexpected<error>(error(code, std::move(text)));
}

}  // namespace troupe
