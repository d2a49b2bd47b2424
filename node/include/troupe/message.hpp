#pragma once
// A message: any C++ value with a name, owned by one holder, moved inside a node and encoded only at its edge.
#include <concepts>
#include <cstdint>
#include <memory>
#include <new>
#include <source_location>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>

#include <troupe/codec.hpp>
#include <troupe/exit_reason.hpp>
#include <troupe/heap_bytes.hpp>
#include <troupe/wire.hpp>

// One line inside a struct makes it a message:
//     struct Push { double number = 0; TROUPE_MESSAGE(Push, "push", number) };
// On the wire, in a trace and in Lua it is ["push", {"number": 5}]. The tag is what the cluster knows; renaming the C++
// type changes nothing. One that names its reply is called without saying it again, and answered with nothing else:
//     struct Read { std::string name; using reply = Total; TROUPE_MESSAGE(Read, "read", name) };
// `void` for one whose answer says no more than that it was done. Errors come beside it: no result<Total>.
#define TROUPE_MESSAGE(Type, tag, ...)                           \
  static constexpr std::string_view troupe_tag() { return tag; } \
  TROUPE_FIELDS(Type __VA_OPT__(, ) __VA_ARGS__)

namespace troupe {

class process;

template <class T>
concept tagged = has_fields<T> && requires { T::troupe_tag(); };

namespace detail {

// The form in which a type stands in a message of its own: tagged structs as [tag, {fields}], everything else bare.
template <class T>
struct whole {
  static void put(writer& w, const T& in) {
    if constexpr (tagged<T>) {
      w.begin_list(2);
      w.put_text(T::troupe_tag());
    }
    codec<T>::put(w, in);
  }
  static bool take(reader& r, T& out) {
    if constexpr (tagged<T>) {
      std::size_t items = 0;
      std::string_view tag;
      if (!r.begin_list(items)) return false;
      if (items != 2) return r.fail("[tag, {fields}] expected");
      if (!r.read_text(tag)) return false;
      if (tag != T::troupe_tag())
        return r.fail("tag \"" + std::string(T::troupe_tag()) + "\" expected, \"" + std::string(tag) + "\" found");
    }
    return codec<T>::take(r, out);
  }
};

// What the runtime knows of a payload's type. One static object per type.
struct message_type {
  std::string_view tag;  // empty for what has none
  std::uint32_t size = 0;
  void (*destroy)(void* payload) noexcept = nullptr;  // null: nothing to destroy
  void (*encode)(const void* payload, writer& w) = nullptr;
  bool inside_node = false;                                     // it holds what does not travel
  std::size_t (*heap)(const void* payload) noexcept = nullptr;  // bytes besides its own; null: always none
};

template <class T>
void destroy_payload(void* payload) noexcept {
  static_cast<T*>(payload)->~T();
}
template <class T>
void encode_payload(const void* payload, writer& w) {
  whole<T>::put(w, *static_cast<const T*>(payload));
}
template <class T>
std::size_t heap_of_payload(const void* payload) noexcept {
  return heap_bytes(*static_cast<const T*>(payload));
}
template <class T>
constexpr auto weigher_of() -> std::size_t (*)(const void*) noexcept {
  if constexpr (std::is_trivially_destructible_v<T>) return nullptr;
  else return &heap_of_payload<T>;
}
template <class T>
constexpr std::string_view tag_of() {
  if constexpr (tagged<T>) return T::troupe_tag();
  else return {};
}
template <class T>
constexpr auto encoder_of() -> void (*)(const void*, writer&) {
  if constexpr (encodable<T>) return &encode_payload<T>;
  else return nullptr;  // what only the runtime sees
}
template <class T>
concept stays_inside = requires { typename T::troupe_inside_node; };
template <class T>
constexpr auto destroyer_of() -> void (*)(void*) noexcept {
  if constexpr (std::is_trivially_destructible_v<T>) return nullptr;
  else return &destroy_payload<T>;
}
template <class T>
inline constexpr message_type type_of{tag_of<T>(),     sizeof(T),       destroyer_of<T>(),
                                      encoder_of<T>(), stays_inside<T>, weigher_of<T>()};

// Still in msgpack, as it came from another node; converted at the first look. A long message keeps the buffer that it
// came in, a short one lies behind this, in the same block.
struct wire_payload {
  troupe::bytes data;
  std::span<const std::byte> content;
};
extern const message_type wire_type;
// What has arrived was bounded in bytes; its own length bounds the rest.
inline constexpr limits wire_content_limits{.value_nodes = SIZE_MAX, .depth = reader::max_depth};

enum class signal : std::uint8_t {
  message,      // payload: any
  call,         // payload: any; `from` and `id` name who waits for the reply
  reply,        // payload: any; `id` is the call's
  reply_error,  // payload: error
  down,         // payload: down; `id` is the monitor's
  exit,         // payload: exit_reason; `from` is who ended or who asked
  exit_asked,   // the same from process::exit(pid, reason): "kill" cannot be trapped
  link,
  unlink,
  unlink_ack,
  monitor,
  demonitor,     // `id` is the monitor's
  group_leader,  // payload: pid
  timer,         // a deadline may have passed: look at it
  inspect,       // payload: inspection; run by the process itself
  resume,        // what `id` waits for is there (blocking work, credit)
  relieved,      // what this process has sent to a slow node has left: it may go on
};

// One block: header and payload. Owned by exactly one holder: a list, a mailbox, a `message`.
struct envelope {
  envelope* next = nullptr;
  const message_type* type = nullptr;
  pid from;
  std::uint64_t id = 0;
  signal kind = signal::message;
  bool replied = false;  // of a call: nobody waits any more
  std::uint8_t hops = 0;
  std::uint8_t block = 0;   // its own size in steps of the pool; what is longer than the pool's blocks has one more
  std::uint32_t bytes = 0;  // with all that its content holds, as it was when it was last sent
  void* operator new(std::size_t, void* at) noexcept { return at; }
  [[nodiscard]] void* payload() noexcept { return this + 1; }
  [[nodiscard]] const void* payload() const noexcept { return this + 1; }
};
static_assert(sizeof(envelope) % alignof(std::max_align_t) == 0);

[[nodiscard]] envelope* allocate_envelope(std::size_t payload_bytes);  // uninitialised header but for its size
void release_envelope(envelope* e) noexcept;                           // destroys the payload, frees the block

template <class T, class... Args>
[[nodiscard]] envelope* make_envelope(signal kind, Args&&... args) {
  static_assert(alignof(T) <= alignof(std::max_align_t));
  envelope* e = allocate_envelope(sizeof(T));
  try {
    ::new (e->payload()) T(std::forward<Args>(args)...);
  } catch (...) {
    e->type = nullptr;
    release_envelope(e);
    throw;
  }
  e->type = &type_of<T>;
  e->kind = kind;
  return e;
}
[[nodiscard]] envelope* make_signal(signal kind);  // no payload
// The first takes `whole`, of which `content` is a part; the second copies it.
[[nodiscard]] envelope* make_wire_envelope(signal kind, troupe::bytes&& whole, std::span<const std::byte> content);
[[nodiscard]] envelope* make_wire_envelope(signal kind, std::span<const std::byte> content);
[[nodiscard]] value envelope_value(const envelope& e);
// Its tag, or the text that its list begins with, as it lies in the payload: neither decoded nor copied. Empty: none.
[[nodiscard]] std::string_view tag_in_place(const envelope& e) noexcept;
// The payload as a T: in place when it is one, converted (once, in place of the old) from wire bytes, from a value, or
// from another type with the same tag. nullptr, and `why` when given, when it does not fit.
template <class T>
[[nodiscard]] T* payload_as(envelope*& e, error* why = nullptr);
void replace_envelope(envelope*& e, envelope* with) noexcept;  // keeps header fields, frees the old
[[nodiscard]] std::unique_ptr<reader> payload_reader(const envelope& e, value& keep);

}  // namespace detail

// What may be sent: a tagged struct, a dynamic value, a message taken from a mailbox.
class message;
template <class T>
concept sendable = tagged<std::remove_cvref_t<T>> || std::same_as<std::remove_cvref_t<T>, value> ||
                   requires { typename std::remove_cvref_t<T>::troupe_builtin_message; };

namespace detail {

template <class Message>
concept names_reply = requires { typename Message::reply; };

struct named_reply {};  // the reply that the request names; a `value` when it names none

// What a call gives whose request is a `Request`, when `Asked` was asked for.
template <class Asked, class Request>
struct reply_of {
  using type = std::conditional_t<std::same_as<Asked, named_reply>, value, Asked>;
};
template <class Asked, names_reply Request>
struct reply_of<Asked, Request> {
  static_assert(std::same_as<Asked, named_reply> || std::same_as<Asked, typename Request::reply>,
                "this message names another reply: call without a type, or with that one");
  using type = typename Request::reply;
};
template <class Asked, class Request>
using reply_of_call = typename reply_of<Asked, std::remove_cvref_t<Request>>::type;

// A lambda's type, as far as C++23 can tell: one that captures is a class that cannot be assigned and cannot be made
// from nothing.
template <class T>
concept closure_like = std::is_class_v<T> && !std::is_default_constructible_v<T> && !std::is_copy_assignable_v<T> &&
                       !std::is_move_assignable_v<T>;

}  // namespace detail

// GCC 12 destroys temporaries of an await expression twice when they are aggregates or lambdas whose captures have a
// destructor. Awaiting functions take only what is safe; whatever else there is gets a name first, and is given by it.
template <class T>
concept await_safe = std::is_lvalue_reference_v<T> || std::is_trivially_destructible_v<std::remove_cvref_t<T>> ||
                     !(std::is_aggregate_v<std::remove_cvref_t<T>> || detail::closure_like<std::remove_cvref_t<T>>);

// Delivered when a monitored process ended: in Lua {"DOWN", ref, "process", pid, reason}. For a monitor by name `name`
// is set and the fourth item is {name, node}.
struct down {
  using troupe_builtin_message = void;
  static constexpr std::string_view troupe_first_word = "DOWN";
  down() = default;
  down(ref monitor_given, pid process_given, exit_reason reason_given)
      : monitor(monitor_given), process(process_given), reason(std::move(reason_given)) {}
  template <class Meter>
  [[nodiscard]] std::size_t troupe_heap(Meter& meter) const noexcept {
    return meter.bytes_of(name) + meter.bytes_of(node) + meter.bytes_of(reason);
  }
  ref monitor;
  pid process;
  std::string name, node;  // how the monitor was asked for; empty when by pid
  exit_reason reason;
};

// Delivered instead of ending a process that traps exits: in Lua {"EXIT", pid, reason}.
struct exit_message {
  using troupe_builtin_message = void;
  static constexpr std::string_view troupe_first_word = "EXIT";
  exit_message() = default;
  exit_message(pid from_given, exit_reason reason_given) : from(from_given), reason(std::move(reason_given)) {}
  template <class Meter>
  [[nodiscard]] std::size_t troupe_heap(Meter& meter) const noexcept {
    return meter.bytes_of(reason);
  }
  pid from;
  exit_reason reason;
};

template <>
struct codec<down> {
  static void put(writer& w, const down& in);
  static bool take(reader& r, down& out);
};
template <>
struct codec<exit_message> {
  static void put(writer& w, const exit_message& in);
  static bool take(reader& r, exit_message& out);
};

// Owns one received message. A call that is destroyed unanswered answers itself with errc::exited or errc::cancelled,
// so no caller waits for a dead or forgetful server.
class message {
 public:
  using troupe_builtin_message = void;
  message() noexcept = default;
  explicit message(detail::envelope* e) noexcept : envelope_(e) {}
  message(message&& other) noexcept : envelope_(std::exchange(other.envelope_, nullptr)) {}
  message& operator=(message&& other) noexcept {
    if (this != &other) {
      drop();
      envelope_ = std::exchange(other.envelope_, nullptr);
    }
    return *this;
  }
  ~message() { drop(); }

  template <sendable T>
    requires(!std::same_as<std::remove_cvref_t<T>, message>)
  explicit message(T&& payload)
      : envelope_(detail::make_envelope<std::remove_cvref_t<T>>(detail::signal::message, std::forward<T>(payload))) {}

  [[nodiscard]] explicit operator bool() const noexcept { return envelope_ != nullptr; }
  // The content as a T, or nullptr when it is something else. Converts at most once.
  template <class T>
  [[nodiscard]] T* get(error* why = nullptr) {
    return envelope_ ? detail::payload_as<T>(envelope_, why) : nullptr;
  }
  // The content as a T; ends the process with bad_message when it is something else.
  template <class T>
  [[nodiscard]] T& as(std::source_location where = std::source_location::current()) {
    error why;
    if (T* content = get<T>(&why)) return *content;
    throw detail::exit_by_error{std::move(why), where};
  }
  [[nodiscard]] std::string tag() const;  // of a tagged message or of a list that begins with a text; else empty
  [[nodiscard]] value to_value() const;   // as Lua, a trace or another language sees it
  [[nodiscard]] bool is_call() const noexcept { return envelope_ && envelope_->kind == detail::signal::call; }
  [[nodiscard]] pid from() const noexcept { return envelope_ ? envelope_->from : pid(); }  // of a call: who waits
  [[nodiscard]] detail::envelope* release() noexcept { return std::exchange(envelope_, nullptr); }
  [[nodiscard]] detail::envelope* peek() const noexcept { return envelope_; }

 private:
  void drop() noexcept {
    if (envelope_) detail::release_envelope(std::exchange(envelope_, nullptr));
  }
  detail::envelope* envelope_ = nullptr;
};

namespace detail {

// For whoever sends: what is no message is told of in one sentence, not in a page of unmet constraints.
template <class T>
[[nodiscard]] message as_message(T&& content) {
  static_assert(sendable<T>, "what is sent must be a message: a struct with TROUPE_MESSAGE, a value or a message");
  if constexpr (std::same_as<std::remove_cvref_t<T>, message>) return std::move(content);
  else if constexpr (sendable<T>) return message(std::forward<T>(content));
  else return {};
}

// The payload when it is a T as it stands: the usual case, without an error made for the others.
template <class T>
[[nodiscard]] T* exactly(envelope* e) noexcept {
  return e->type == &type_of<T> ? static_cast<T*>(e->payload()) : nullptr;
}

template <class T>
T* convert_payload(envelope*& e, reader& source, error* why) {
  T out{};
  if (!whole<T>::take(source, out)) {
    if (why) *why = source.failure();
    return nullptr;
  }
  replace_envelope(e, make_envelope<T>(e->kind, std::move(out)));
  return static_cast<T*>(e->payload());
}

template <class T>
T* payload_as(envelope*& e, error* why) {
  if (e->type == &type_of<T>) return static_cast<T*>(e->payload());
  if constexpr (tagged<T>) {
    // Another type's tag cannot fit: no need to encode and decode to learn it.
    if (e->type && !e->type->tag.empty() && e->type->tag != T::troupe_tag()) {
      if (why)
        *why = error(errc::bad_message,
                     "\"" + std::string(T::troupe_tag()) + "\" expected, \"" + std::string(e->type->tag) + "\" found");
      return nullptr;
    }
  }
  if (e->type == &wire_type) {
    wire_source source(static_cast<const wire_payload*>(e->payload())->content, wire_content_limits);
    return convert_payload<T>(e, source, why);
  }
  value keep;
  auto source = payload_reader(*e, keep);
  return convert_payload<T>(e, *source, why);
}

}  // namespace detail
}  // namespace troupe
