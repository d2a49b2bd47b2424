#include <troupe/bus/security.hpp>

#include "troupe/command.hpp"
#include "troupe/output.hpp"

namespace troupe::tool {
namespace {

int run(const parsed_options& given) {
  const std::string cookie = bus::generate_cookie(*system_random());
  if (!given.has("file")) {
    emit(cookie + "\n");
    return internal::exit_ok;
  }
  const std::string path = given.text("file");
  auto saved = bus::save_cookie(path, cookie);
  if (saved) return internal::exit_ok;
  if (saved.error() != errc::name_taken) return complain("keygen", saved.error());
  return complain("keygen",
                  error(errc::name_taken, path + " exists, and a cookie in use must not be lost: it is kept"));
}

}  // namespace

command keygen_command() {
  command_table rows;
  rows.name = "keygen";
  rows.summary = "A new cookie: 256 random bits, which all nodes of a cluster must share.";
  rows.options = {{"--file", takes::text, "FILE", "write it there, readable by you alone (0600); never over a file"}};
  rows.notes =
      "Members prove that they know the cookie, and the keys that encrypt what leaves a host come from it. Copy the "
      "file "
      "to each host by a way that others cannot read; nodes take it by --cookie-file FILE or TROUPE_COOKIE.";
  rows.example = "troupe keygen --file ~/.troupe/cookie\ntroupe keygen";
  return {std::move(rows), run};
}

}  // namespace troupe::tool
