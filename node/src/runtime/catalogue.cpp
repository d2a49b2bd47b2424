#include <troupe/catalogue.hpp>

#include <algorithm>
#include <cctype>
#include <stdexcept>

#include "runtime/process_private.hpp"

namespace troupe {

std::string_view module_of(std::string_view function) noexcept {
  auto dot = function.rfind('.');
  return dot == function.npos ? std::string_view() : function.substr(0, dot);
}

namespace {

bool legal_name(std::string_view name) {
  bool part_empty = true;
  for (char c : name) {
    if (c == '.') {
      if (part_empty) return false;
      part_empty = true;
    } else if (std::isalnum(static_cast<unsigned char>(c)) || c == '_') {
      part_empty = false;
    } else {
      return false;
    }
  }
  return !part_empty;
}

}  // namespace

void catalogue::add(catalogue_entry entry) {
  if (!legal_name(entry.name)) {
    throw std::invalid_argument("catalogue: \"" + entry.name +
                                "\" is no name: letters, digits and '_' in parts joined by '.'");
  }
  std::string name = entry.name;
  if (!entries_.emplace(name, std::make_shared<const catalogue_entry>(std::move(entry))).second) {
    throw std::invalid_argument("catalogue: \"" + name + "\" is offered twice");
  }
}

void catalogue::merge(const catalogue& other) {
  for (const auto& [name, entry] : other.entries_) {
    if (!entries_.emplace(name, entry).second)
      throw std::invalid_argument("catalogue: \"" + name + "\" is offered twice");
  }
}

const catalogue_entry* catalogue::find(std::string_view name) const noexcept {
  auto found = entries_.find(name);
  return found == entries_.end() ? nullptr : found->second.get();
}

std::vector<const catalogue_entry*> catalogue::entries(std::string_view prefix) const {
  std::vector<const catalogue_entry*> out;
  for (auto at = entries_.lower_bound(prefix); at != entries_.end() && at->first.starts_with(prefix); ++at) {
    out.push_back(at->second.get());
  }
  return out;
}

namespace detail {

bool calls_traced(process& self) noexcept {
  return (process_private::trace(self).load(std::memory_order_relaxed) & trace_flag::call) && self.core().watching();
}
void trace_call(process& self, std::string_view function, list arguments) {
  if (auto* watching = self.core().watching()) watching->called(self, function, std::move(arguments));
}
void trace_return(process& self, std::string_view function, const value& returned) {
  if (auto* watching = self.core().watching()) watching->returned(self, function, returned);
}

}  // namespace detail
}  // namespace troupe
