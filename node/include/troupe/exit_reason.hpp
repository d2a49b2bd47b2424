#pragma once
// Why a process ended, as OTP writes it: a text ("normal", "shutdown", "killed", "noproc", "noconnection") or a list
// whose first item is the kind: {"shutdown", x}, {"exception", {type=…, text=…, place=…}}, {"timeout", "…"} for an
// error, with a third item, "file.cpp:12", where it is known.
#include <source_location>
#include <string>

#include <troupe/codec.hpp>

namespace troupe {

// Value type; travels as its term.
class exit_reason {
 public:
  exit_reason() : term_("normal") {}
  explicit exit_reason(value term) : term_(std::move(term)) {}
  explicit exit_reason(const char* word) : term_(word) {}
  // {"timeout", "no answer within 5 s"}
  exit_reason(const error& cause);
  // {"timeout", "no answer within 5 s", "resize.cpp:31"}: what `or_exit()` ends a process with.
  exit_reason(const error& cause, const std::source_location& where);

  [[nodiscard]] static exit_reason normal() { return exit_reason("normal"); }
  [[nodiscard]] static exit_reason shutdown() { return exit_reason("shutdown"); }
  [[nodiscard]] static exit_reason kill() { return exit_reason("kill"); }      // as a signal: cannot be trapped
  [[nodiscard]] static exit_reason killed() { return exit_reason("killed"); }  // what others then see
  [[nodiscard]] static exit_reason noproc() { return exit_reason("noproc"); }
  [[nodiscard]] static exit_reason noconnection() { return exit_reason("noconnection"); }
  [[nodiscard]] static exit_reason exception(std::string_view type, std::string_view text, std::string_view place = {});

  [[nodiscard]] const value& term() const noexcept { return term_; }
  [[nodiscard]] bool is(std::string_view word) const noexcept;  // the text, or the first item of the list
  [[nodiscard]] bool is_normal() const noexcept { return is("normal"); }
  // normal, shutdown or {"shutdown", x}: no crash report, and a transient child is not restarted.
  [[nodiscard]] bool is_planned() const noexcept { return is("normal") || is("shutdown"); }
  [[nodiscard]] std::string text() const { return term_.print(); }
  template <class Meter>
  [[nodiscard]] std::size_t troupe_heap(Meter& meter) const noexcept {  // see heap_bytes.hpp
    return meter.bytes_of(term_);
  }

  friend bool operator==(const exit_reason& a, const exit_reason& b) noexcept { return a.term_ == b.term_; }

 private:
  value term_;
};

template <>
struct codec<exit_reason> {
  static void put(writer& w, const exit_reason& in) { w.put_value(in.term()); }
  static bool take(reader& r, exit_reason& out) {
    value term;
    if (!r.read_value(term)) return false;
    out = exit_reason(std::move(term));
    return true;
  }
};

}  // namespace troupe
