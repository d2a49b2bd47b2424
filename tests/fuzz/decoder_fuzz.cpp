// Any bytes: either refused, or a value that encodes to what decodes to itself. Equal bytes stand for equal values,
// since a NaN differs from itself.
#include "fuzz.hpp"

#include <troupe/codec.hpp>

namespace {

struct node {
  std::string name;
  std::optional<double> weight;
  std::vector<node> children;
  std::map<std::int64_t, troupe::value> notes;
  TROUPE_FIELDS(node, name, weight, children, notes)
};

[[noreturn]] void broken(const char* what) { ::broken("decoder_fuzz", what); }

void check_value(const troupe::value& first) {
  const troupe::bytes once = troupe::to_wire(first);
  troupe::limits budget;
  const auto second = troupe::from_wire<troupe::value>(once, budget);
  if (!second) broken("what we wrote is refused");
  if (troupe::to_wire(*second) != once) broken("a value changed on its way");
  troupe::wire_source skipping(once, budget);
  if (!skipping.skip() || !skipping.at_end()) broken("skip and read differ");
  if (second->print(8, 200).size() > 203) broken("print is longer than its width");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span in(reinterpret_cast<const std::byte*>(data), size);
  const auto any = troupe::from_wire<troupe::value>(in);
  fuzz_accepted = any.has_value();
  if (any) check_value(*any);
  // A type that holds itself: nesting is bounded by the reader alone.
  if (const auto tree = troupe::from_wire<node>(in)) check_value(troupe::to_value(*tree));
  return 0;
}
