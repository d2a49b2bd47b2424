#include <troupe/heap_bytes.hpp>

namespace troupe::detail {

std::size_t heap_meter::of_value(const value& of) noexcept {
  switch (of.type()) {
    case value::kind::text: return bytes_of(*of.text());
    case value::kind::bytes: return bytes_of(*of.binary());
    case value::kind::list: return bytes_of(*of.items());
    case value::kind::map: return bytes_of(*of.entries());
    case value::kind::ext: return bytes_of(of.ext()->data);
    default: return 0;
  }
}

}  // namespace troupe::detail
