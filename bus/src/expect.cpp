#include <troupe/expect.hpp>

#include <unistd.h>

#include <atomic>
#include <cstdlib>

#include "quoted.hpp"

namespace troupe::detail {
namespace {

std::atomic<who_runs> told_by{nullptr};

}  // namespace

void add_value(std::string& out, std::string_view text) { out += troupe::internal::quoted(text); }

void set_who_runs(who_runs tell) noexcept { told_by.store(tell, std::memory_order_relaxed); }

void abort_with(std::string_view condition, const std::source_location& where, std::string_view values) noexcept {
  std::string words("troupe: broken invariant: ");
  words.append(condition).append("\n  at ").append(where.file_name()).append(":").append(std::to_string(where.line()));
  words.append(" in ").append(where.function_name()).append("\n");
  if (!values.empty()) words.append("  with ").append(values).append("\n");
  if (const who_runs tell = told_by.load(std::memory_order_relaxed)) {
    if (const std::string who = tell(); !who.empty()) words.append("  in ").append(who).append("\n");
  }
  words.append("This is a bug of Troupe, or of something that wrote into its memory. The program ends here.\n");
  // Not stdio: its locks may be held by the thread that broke.
  for (std::string_view rest = words; !rest.empty();) {
    const ssize_t written = ::write(STDERR_FILENO, rest.data(), rest.size());
    if (written <= 0) break;
    rest.remove_prefix(static_cast<std::size_t>(written));
  }
  std::abort();
}

}  // namespace troupe::detail
