#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <iostream>
#include <system_error>

#include "troupe/command.hpp"
#include "troupe/coroutine_rules.hpp"
#include "troupe/output.hpp"

namespace troupe::tool {
namespace {

error failed(const std::string& what) {
  return {errc::io, what + ": " + std::error_code(errno, std::generic_category()).message()};
}

// The rules lie in the program: they need no file beside it, wherever it was copied to.
result<std::string> rules_as_file() {
  const int file = ::memfd_create("coroutine_rules.py", 0);
  if (file < 0) return failed("memfd_create");
  std::string_view rest = coroutine_rules;
  while (!rest.empty()) {
    const ssize_t written = ::write(file, rest.data(), rest.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return failed("write");
    rest.remove_prefix(static_cast<std::size_t>(written));
  }
  return "/proc/self/fd/" + std::to_string(file);
}

int run(const parsed_options& given) {
  auto rules = rules_as_file();
  if (!rules) return complain("tidy", rules.error());
  std::vector<std::string> words = {"python3", "-B", std::move(*rules)};
  for (const std::string& file : given.all("FILE")) words.push_back(file);
  std::vector<char*> exact;
  for (std::string& word : words) exact.push_back(word.data());
  exact.push_back(nullptr);
  std::cout.flush();
  ::execvp(exact[0], exact.data());
  if (errno == ENOENT) return complain("tidy", error(errc::not_found, "needs python3 on the PATH (Debian: python3)"));
  return complain("tidy", failed("python3"));
}

}  // namespace

command tidy_command() {
  command_table rows;
  rows.name = "tidy";
  rows.summary = "Finds in C++ files what GCC 12 miscompiles in coroutines and no compiler reports.";
  rows.arguments = {{"FILE", "C++ files", true, true}};
  rows.notes =
      "Prints `FILE:LINE: [RULE] what is wrong`; exit code 1 when there is any. What is right for a reason is allowed "
      "by `// tidy: allow RULE, because …` on its line or the line above. Most of what GCC 12 destroys twice is "
      "refused by the API when it compiles; this finds the rest. Needs python3.";
  rows.example = "troupe tidy src/*.cpp";
  return {std::move(rows), run};
}

}  // namespace troupe::tool
