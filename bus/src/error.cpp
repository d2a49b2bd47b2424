#include <troupe/error.hpp>

#include <array>

#include <troupe/codec.hpp>

namespace troupe {
namespace {

struct row {
  errc code;
  std::string_view name;
  error_kind kind;
};

constexpr std::array rows{
    row{errc::none, "none", error_kind::bug},
    row{errc::timeout, "timeout", error_kind::retry_later},
    row{errc::noproc, "noproc", error_kind::give_up},
    row{errc::noconnection, "noconnection", error_kind::reconnect},
    row{errc::name_taken, "name_taken", error_kind::give_up},
    row{errc::not_allowed, "not_allowed", error_kind::give_up},
    row{errc::bad_message, "bad_message", error_kind::bug},
    row{errc::too_large, "too_large", error_kind::give_up},
    row{errc::overloaded, "overloaded", error_kind::retry_later},
    row{errc::system_limit, "system_limit", error_kind::retry_later},
    row{errc::undef, "undef", error_kind::give_up},
    row{errc::bad_cookie, "bad_cookie", error_kind::give_up},
    row{errc::unsupported, "unsupported", error_kind::give_up},
    row{errc::stale, "stale", error_kind::give_up},
    row{errc::shutting_down, "shutting_down", error_kind::reconnect},
    row{errc::bad_argument, "bad_argument", error_kind::bug},
    row{errc::exception, "exception", error_kind::bug},
    row{errc::exited, "exited", error_kind::give_up},
    row{errc::already_started, "already_started", error_kind::give_up},
    row{errc::already_named, "already_named", error_kind::give_up},
    row{errc::bad_name, "bad_name", error_kind::bug},
    row{errc::not_found, "not_found", error_kind::give_up},
    row{errc::bad_config, "bad_config", error_kind::give_up},
    row{errc::cannot_wait, "cannot_wait", error_kind::bug},
    row{errc::io, "io", error_kind::give_up},
    row{errc::closed, "closed", error_kind::reconnect},
    row{errc::cancelled, "cancelled", error_kind::give_up},
    row{errc::running, "running", error_kind::give_up},
    row{errc::restarting, "restarting", error_kind::retry_later},
    row{errc::not_responding, "not_responding", error_kind::retry_later},
};

const row* find(errc code) noexcept {
  auto index = static_cast<std::size_t>(code);
  return index < rows.size() ? &rows[index] : nullptr;
}

}  // namespace

error_kind kind_of(errc code) noexcept {
  const row* found = find(code);
  return found ? found->kind : error_kind::give_up;
}

std::string_view to_string(errc code) noexcept {
  const row* found = find(code);
  return found ? found->name : "unknown";
}

errc errc_from(std::string_view name) noexcept {
  for (const row& r : rows) {
    if (r.name == name) return r.code;
  }
  return errc::none;
}

error::error(errc code, std::string text)
    : word_(text.empty() ? static_cast<std::uintptr_t>(code) << code_shift | nothing
                         : reinterpret_cast<std::uintptr_t>(new record{code, false, std::move(text)})) {}

std::uintptr_t error::copy_of(const record& from) { return reinterpret_cast<std::uintptr_t>(new record(from)); }

void error::drop(record* what) noexcept { delete what; }

const std::string& error::text() const noexcept {
  static const std::string none;
  return is_record() ? at().text : none;
}

error& error::set_maybe_executed(bool value) noexcept {
  if (is_record()) at().maybe_executed = value;
  else word_ = value ? word_ | executed_bit : word_ & ~executed_bit;
  return *this;
}

std::string error::name() const {
  if (const row* found = find(code())) return std::string(found->name);
  return "error_" + std::to_string(static_cast<unsigned>(code()));
}

std::string error::message() const { return text().empty() ? name() : name() + ": " + text(); }

void codec<error>::put(writer& w, const error& in) {
  w.begin_map(4);
  w.put_text("code");
  w.put_uint(static_cast<std::uint16_t>(in.code()));
  w.put_text("name");
  w.put_text(in.name());
  w.put_text("text");
  w.put_text(in.text());
  w.put_text("maybe_executed");
  w.put_bool(in.maybe_executed());
}

bool codec<error>::take(reader& r, error& out) {
  std::size_t entries = 0;
  if (!r.begin_map(entries)) return false;
  std::uint16_t code = 0;
  std::string text;
  bool maybe = false;
  for (std::size_t i = 0; i < entries; ++i) {
    std::string_view key;
    if (!r.read_text(key)) return false;
    r.enter(key);
    bool taken = key == "code"             ? codec<std::uint16_t>::take(r, code)
                 : key == "text"           ? codec<std::string>::take(r, text)
                 : key == "maybe_executed" ? r.read_bool(maybe)
                                           : r.skip();
    if (!taken) return false;
    r.leave();
  }
  out = error(static_cast<errc>(code), std::move(text));
  out.set_maybe_executed(maybe);
  return true;
}

}  // namespace troupe
