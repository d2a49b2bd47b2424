#pragma once
// Hubs whose tcp is encrypted, by ours and by libzmq, on either side.
#include <gtest/gtest.h>

#include "unit/bus/hub_fixture.hpp"
#include "unit/bus/raw_zmtp.hpp"

namespace troupe::test {

inline constexpr std::string_view strong_cookie = "a7b2c6d3e5f4g2h3i4j5k6l7m2n3o4p5";

class Curve : public testing::TestWithParam<pairing> {
 protected:
  // Of who listens, and of who dials. They encrypt on loopback too, unless another rule is given.
  bus::hub_options listening(std::string_view name, plain_text allowed = plain_text::nowhere,
                             std::string_view cookie = strong_cookie) {
    return options(acceptor_of(GetParam()), name, allowed, cookie);
  }
  bus::hub_options dialling(std::string_view name, plain_text allowed = plain_text::nowhere,
                            std::string_view cookie = strong_cookie) {
    return options(dialler_of(GetParam()), name, allowed, cookie);
  }
  bus::hub_options options(transport_kind encrypted, std::string_view name, plain_text allowed,
                           std::string_view cookie) {
    auto out = world_.options(name, ++creations_, encrypted);
    out.security.cookie = std::string(cookie);
    out.security.plain_text_allowed = allowed;
    return out;
  }
  [[nodiscard]] bool until(const std::function<bool()>& done) { return world_.until(done); }
  // The reason why `from` could not dial `where`; counts how many dials have failed before.
  error failure(test_node& from, const bus::endpoint& where) {
    const std::size_t before = from.events.failed().size();
    from.hub->dial(where);
    if (!until([&] { return from.events.failed().size() > before; })) return error(errc::none, "no failure at all");
    return from.events.failed().back().reason;
  }
  static std::uint64_t turned_away(const test_node& node) {
    std::uint64_t out = 0;
    for (const char* cause : {"wrong_key", "not_encrypted", "encrypted", "stranger"}) out += node.drops(cause);
    return out;
  }
  bool serves(test_node& node, const bus::endpoint& where, plain_text allowed = plain_text::nowhere) {
    test_node friendly(dialling("friend" + std::to_string(creations_) + "@host", allowed));
    const std::size_t before = node.events.ups().size();
    friendly.hub->dial(where);
    return until([&] { return friendly.events.first() != 0 && node.events.ups().size() > before; });
  }

  world world_{form::tcp};
  std::uint64_t creations_ = 0;
};

}  // namespace troupe::test
