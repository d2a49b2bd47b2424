#include "kept_keys.hpp"

#include "crypto/proof.hpp"

namespace troupe::bus::internal {

kept_keys keep(const channel_keys& keys) {
  return kept_keys(new channel_keys(keys), [](channel_keys* last) {
    troupe::internal::wipe(last->acceptor_secret);
    troupe::internal::wipe(last->dialler_secret);
    delete last;
  });
}

}  // namespace troupe::bus::internal
