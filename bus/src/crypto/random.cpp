#include <troupe/time.hpp>

#include <sodium.h>

#include <stdexcept>

namespace troupe {
namespace {

class sodium_random final : public random_source {
 public:
  sodium_random() {
    if (sodium_init() < 0) throw std::runtime_error("libsodium cannot start: no source of randomness");
  }
  void fill(std::span<std::byte> out) override { randombytes_buf(out.data(), out.size()); }
};

}  // namespace

std::shared_ptr<random_source> system_random() {
  static const auto shared = std::make_shared<sodium_random>();
  return shared;
}

}  // namespace troupe
