#include <troupe/exit_reason.hpp>

#include "runtime/place.hpp"

namespace troupe {

exit_reason::exit_reason(const error& cause) : term_(list_of({value(cause.name()), value(cause.text())})) {}

exit_reason::exit_reason(const error& cause, const std::source_location& where) : exit_reason(cause) {
  const std::string place = detail::at_place(where);
  if (!place.empty()) term_.items()->emplace_back(place.substr(std::string_view(" at ").size()));
}

exit_reason exit_reason::exception(std::string_view type, std::string_view text, std::string_view place) {
  value about = map_of({{"type", type}, {"text", text}});
  if (!place.empty()) about.entries()->emplace_back("place", place);
  return exit_reason(list_of({value("exception"), std::move(about)}));
}

bool exit_reason::is(std::string_view word) const noexcept {
  const value* head = &term_;
  if (const list* items = term_.items()) {
    if (items->empty()) return false;
    head = &items->front();
    // {"normal", x} is somebody's own reason; only shutdown has a planned form with a detail.
    if (word == "normal") return false;
  }
  const std::string* text = head->text();
  return text && *text == word;
}

}  // namespace troupe
