// How an encrypted connection begins: both sides of CurveZMQ's handshake.
#include "zmtp/curve.hpp"
#include "zmtp/curve_parts.hpp"

namespace troupe::bus::internal::zmtp {
namespace {

using troupe::internal::box_key;
using troupe::internal::box_proof_bytes;
using troupe::internal::curve_key;
using troupe::internal::draw_pair;
using troupe::internal::secret_bytes;
using troupe::internal::secret_key;

constexpr std::size_t key_bytes = 32, number_bytes = 8, long_nonce_bytes = 16, padding_bytes = 72, zeros_bytes = 64;
constexpr std::string_view version("\1\0", 2);
constexpr std::string_view nonce_of_hello = "CurveZMQHELLO---", nonce_of_welcome = "WELCOME-",
                           nonce_of_cookie = "COOKIE--", nonce_of_initiate = "CurveZMQINITIATE",
                           nonce_of_vouch = "VOUCH---", nonce_of_ready = "CurveZMQREADY---",
                           nonce_of_diallers_messages = "CurveZMQMESSAGEC",
                           nonce_of_acceptors_messages = "CurveZMQMESSAGES";
constexpr std::string_view refused =
    "\3"
    "400";  // the reason of an ERROR: a key that is not let in

// Behind their names.
constexpr std::size_t cookie_text_bytes = 2 * key_bytes;
constexpr std::size_t cookie_bytes = long_nonce_bytes + cookie_text_bytes + box_proof_bytes;
constexpr std::size_t hello_bytes =
    version.size() + padding_bytes + key_bytes + number_bytes + zeros_bytes + box_proof_bytes;
constexpr std::size_t welcome_bytes = long_nonce_bytes + key_bytes + cookie_bytes + box_proof_bytes;
constexpr std::size_t vouch_bytes = long_nonce_bytes + 2 * key_bytes + box_proof_bytes;
constexpr std::size_t least_initiate = cookie_bytes + number_bytes + key_bytes + vouch_bytes + box_proof_bytes;
constexpr std::size_t least_ready = number_bytes + box_proof_bytes;

using nonce_rest = std::array<std::byte, long_nonce_bytes>;

// Reads the parts of a command one after the other; its length was checked before.
class parts_of {
 public:
  explicit parts_of(std::span<const std::byte> data) : rest_(data) {}
  std::span<const std::byte> next(std::size_t size) {
    const auto out = rest_.first(size);
    rest_ = rest_.subspan(size);
    return out;
  }
  curve_key key() {
    curve_key out{};
    std::ranges::copy(next(key_bytes), out.begin());
    return out;
  }
  std::uint64_t number() { return number_at(next(number_bytes), 0); }
  std::span<const std::byte> rest() const { return rest_; }

 private:
  std::span<const std::byte> rest_;
};

nonce_rest draw_nonce(random_source& random) {
  nonce_rest out{};
  random.fill(out);
  return out;
}

void add(std::string& to, std::span<const std::byte> data) { to += text_of(data); }

void add_box(std::string& to, const box_key& key, const troupe::internal::box_nonce& nonce,
             std::span<const std::byte> text) {
  const std::size_t before = to.size();
  to.resize(before + text.size() + box_proof_bytes);
  key.seal(text, nonce, std::as_writable_bytes(std::span(to).subspan(before)));
}

curve::progress malformed(std::string_view what) {
  return {.say = {}, .why = error(errc::bad_message, "CURVE: " + std::string(what))};
}

curve::progress other_keys(std::string_view what) {
  return {.say = frame_of_command("ERROR", refused), .why = error(errc::bad_cookie, std::string(what))};
}

// The last command of each side says what it is.
curve::progress over(std::string say, std::span<const std::byte> metadata) {
  auto theirs = parse_ready(text_of(metadata));
  if (!theirs) return {.say = {}, .why = theirs.error()};
  return {.say = std::move(say), .theirs = *theirs};
}

class acceptor final : public curve {
 public:
  acceptor(kept_keys keys, random_source& random)
      : curve(nonce_of_acceptors_messages, nonce_of_diallers_messages, std::move(keys), random) {}

  progress take(const command& one) override {
    const auto data = bytes_in(one.data);
    if (!welcomed_) return one.name == "HELLO" ? take_hello(data) : malformed("no HELLO");
    return one.name == "INITIATE" ? take_initiate(data) : malformed("no INITIATE");
  }

 private:
  progress take_hello(std::span<const std::byte> data) {
    if (data.size() != hello_bytes) return malformed("HELLO is malformed");
    parts_of hello(data);
    if (text_of(hello.next(version.size())) != version) return malformed("another version than 1.0");
    static_cast<void>(hello.next(padding_bytes));
    const curve_key theirs = hello.key();
    const std::uint64_t number = hello.number();
    if (!rises(number)) return malformed("a number that does not rise");
    std::array<std::byte, zeros_bytes> zeros{};
    box_key outer;
    if (!outer.agree(theirs, keys().acceptor_secret) ||
        !outer.open(hello.rest(), nonce_of(nonce_of_hello, number), zeros)) {
      return other_keys("a dialler that has another cookie");
    }
    welcomed_ = true;
    return {.say = frame_of_command("WELCOME", welcome(theirs, outer))};
  }

  std::string welcome(const curve_key& theirs, const box_key& outer) {
    secret_key secret;
    const curve_key open = draw_pair(random(), secret);
    secret_bytes<cookie_text_bytes> in_cookie;
    std::ranges::copy(theirs, in_cookie.data.begin());
    std::ranges::copy(secret.data, in_cookie.data.begin() + key_bytes);
    cookie_.draw(random());
    std::string text;
    add(text, open);
    const nonce_rest baked = draw_nonce(random());
    add(text, baked);
    add_box(text, cookie_, nonce_of(nonce_of_cookie, baked), in_cookie.data);
    std::string out;
    const nonce_rest nonce = draw_nonce(random());
    add(out, nonce);
    add_box(out, outer, nonce_of(nonce_of_welcome, nonce), bytes_in(text));
    return out;
  }

  progress take_initiate(std::span<const std::byte> data) {
    if (data.size() < least_initiate) return malformed("INITIATE is malformed");
    parts_of initiate(data);
    const auto baked = initiate.next(long_nonce_bytes);
    secret_bytes<cookie_text_bytes> in_cookie;
    if (!cookie_.open(initiate.next(cookie_text_bytes + box_proof_bytes), nonce_of(nonce_of_cookie, baked),
                      in_cookie.data)) {
      return malformed("a cookie of another connection");
    }
    cookie_.clear();
    parts_of cookie(in_cookie.data);
    const curve_key theirs = cookie.key();
    secret_key ours;
    ours.data = cookie.key();
    const std::uint64_t number = initiate.number();
    if (!rises(number)) return malformed("a number that does not rise");
    const auto box = initiate.rest();
    std::string text(box.size() - box_proof_bytes, '\0');
    if (!session_.agree(theirs, ours.data) ||
        !session_.open(box, nonce_of(nonce_of_initiate, number), std::as_writable_bytes(std::span(text)))) {
      return malformed("an INITIATE that does not open");
    }
    parts_of inner(bytes_in(text));
    if (inner.key() != keys().dialler_public) return other_keys("a dialler with a key that the cookie does not give");
    if (!vouches(inner.next(vouch_bytes), theirs, ours.data)) return malformed("a vouch that does not hold");
    const auto said = bytes_of(next_number());
    std::string ready(text_of(said));
    add_box(ready, session_, nonce_of(nonce_of_ready, said), bytes_in(metadata(socket_type::router)));
    return over(frame_of_command("READY", ready), inner.rest());
  }

  // By the secret of C: that C' is its own, and was drawn for a connection to S.
  [[nodiscard]] bool vouches(std::span<const std::byte> vouch, const curve_key& theirs, const curve_key& ours) {
    parts_of all(vouch);
    const auto nonce = all.next(long_nonce_bytes);
    box_key key;
    std::array<std::byte, 2 * key_bytes> text{};
    if (!key.agree(keys().dialler_public, ours) || !key.open(all.rest(), nonce_of(nonce_of_vouch, nonce), text))
      return false;
    parts_of inner(text);
    return inner.key() == theirs && inner.key() == keys().acceptor_public;
  }

  bool welcomed_ = false;
  box_key cookie_;
};

class dialler final : public curve {
 public:
  dialler(kept_keys keys, random_source& random)
      : curve(nonce_of_diallers_messages, nonce_of_acceptors_messages, std::move(keys), random) {}

  std::string begin() override {
    open_ = draw_pair(random(), secret_);
    static_cast<void>(outer_.agree(keys().acceptor_public, secret_.data));  // a key of ours, which is a key
    std::string hello(version);
    hello.append(padding_bytes, '\0');
    add(hello, open_);
    const auto number = bytes_of(next_number());
    add(hello, number);
    add_box(hello, outer_, nonce_of(nonce_of_hello, number), std::array<std::byte, zeros_bytes>{});
    return frame_of_command("HELLO", hello);
  }

  progress take(const command& one) override {
    const auto data = bytes_in(one.data);
    if (one.name == "ERROR") {
      if (one.data == refused) return {.say = {}, .why = error(errc::bad_cookie, "our keys were refused")};
      return malformed("an ERROR");
    }
    if (!initiated_) return one.name == "WELCOME" ? take_welcome(data) : malformed("no WELCOME");
    return one.name == "READY" ? take_ready(data) : malformed("no READY");
  }

 private:
  progress take_welcome(std::span<const std::byte> data) {
    if (data.size() != welcome_bytes) return malformed("WELCOME is malformed");
    parts_of welcome(data);
    const auto nonce = welcome.next(long_nonce_bytes);
    std::array<std::byte, key_bytes + cookie_bytes> text{};
    if (!outer_.open(welcome.rest(), nonce_of(nonce_of_welcome, nonce), text))
      return {.say = {}, .why = error(errc::bad_cookie, "a WELCOME that does not open")};
    parts_of inner(text);
    const curve_key theirs = inner.key();
    if (!session_.agree(theirs, secret_.data)) return malformed("a key that is none");
    initiated_ = true;
    progress out{.say = frame_of_command("INITIATE", initiate(theirs, inner.rest()))};
    secret_.clear();
    outer_.clear();
    return out;
  }

  std::string initiate(const curve_key& theirs, std::span<const std::byte> cookie) {
    std::string text;
    add(text, keys().dialler_public);
    const nonce_rest vouched = draw_nonce(random());
    add(text, vouched);
    box_key voucher;
    static_cast<void>(voucher.agree(theirs, keys().dialler_secret));  // `theirs` was good enough for the session
    std::array<std::byte, 2 * key_bytes> vouch{};
    std::ranges::copy(open_, vouch.begin());
    std::ranges::copy(keys().acceptor_public, vouch.begin() + key_bytes);
    add_box(text, voucher, nonce_of(nonce_of_vouch, vouched), vouch);
    text += metadata(socket_type::dealer);
    std::string out(text_of(cookie));
    const auto number = bytes_of(next_number());
    add(out, number);
    add_box(out, session_, nonce_of(nonce_of_initiate, number), bytes_in(text));
    return out;
  }

  progress take_ready(std::span<const std::byte> data) {
    if (data.size() < least_ready) return malformed("READY is malformed");
    parts_of ready(data);
    const std::uint64_t number = ready.number();
    if (!rises(number)) return malformed("a number that does not rise");
    const auto box = ready.rest();
    std::string text(box.size() - box_proof_bytes, '\0');
    if (!session_.open(box, nonce_of(nonce_of_ready, number), std::as_writable_bytes(std::span(text))))
      return malformed("a READY that does not open");
    return over({}, bytes_in(text));
  }

  curve_key open_{};
  secret_key secret_;
  box_key outer_;  // what C' and S share
  bool initiated_ = false;
};

}  // namespace

std::unique_ptr<curve> curve_of_dialler(kept_keys keys, random_source& random) {
  return std::make_unique<dialler>(std::move(keys), random);
}

std::unique_ptr<curve> curve_of_acceptor(kept_keys keys, random_source& random) {
  return std::make_unique<acceptor>(std::move(keys), random);
}

}  // namespace troupe::bus::internal::zmtp
