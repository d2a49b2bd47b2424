#include <cstdio>

#include "troupe/output.hpp"
#include "troupe/session.hpp"

namespace troupe::tool {
namespace {

int run(const parsed_options& given) {
  int status = internal::exit_ok;
  auto here = session::open("ping", given, status);
  if (!here) return status;
  auto began = here->node().clock().now();
  auto got = here->ask("troupe.info");
  if (!got) return here->fail(got.error());
  double ms = std::chrono::duration<double, std::milli>(here->node().clock().now() - began).count();
  if (given.has("json")) {
    emit_json(
        map_of({{"name", value(here->target())}, {"pid", value(got->integer_at("pid"))}, {"milliseconds", value(ms)}}));
    return internal::exit_ok;
  }
  char time[32];
  std::snprintf(time, sizeof time, "%.1f ms", ms);
  emit(here->target() + " answers in " + time + " (os pid " + plain_at(*got, "pid") + ")\n");
  return internal::exit_ok;
}

}  // namespace

command ping_command() {
  command_table rows;
  rows.name = "ping";
  rows.summary = "Does a node answer?";
  rows.arguments = {node_argument()};
  rows.options = with_session({});
  rows.example = "troupe ping exercise";
  return {std::move(rows), run};
}

}  // namespace troupe::tool
