#pragma once
// Programs for the tests of programs, and what became of them.
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <troupe/program.hpp>

#include "otp_test.hpp"

namespace troupe::test {

[[nodiscard]] inline command sh(std::string script) { return command("sh", "-c", std::move(script)); }

// What the system says of a process: 'S' sleeps, 'T' is stopped, 'Z' a zombie; 'X' for none.
[[nodiscard]] inline char state_of(std::int64_t os_pid, long* parent = nullptr) {
  std::ifstream stat("/proc/" + std::to_string(os_pid) + "/stat");
  std::string text;
  const bool there = bool(std::getline(stat, text));
  const auto name_end = text.rfind(')');
  if (!there || name_end == std::string::npos) return 'X';
  if (parent) *parent = std::strtol(text.c_str() + name_end + 3, nullptr, 10);
  return text[name_end + 2];
}

// Gone, or a zombie that its new parent has not waited for.
[[nodiscard]] inline bool has_ended(std::int64_t os_pid) {
  const char state = state_of(os_pid);
  return state == 'Z' || state == 'X';
}

// A child of this process by its first word; -1: there is none.
[[nodiscard]] inline pid_t child_named(const std::string& name) {
  for (const auto& each : std::filesystem::directory_iterator("/proc")) {
    const std::int64_t os_pid = std::strtoll(each.path().filename().c_str(), nullptr, 10);
    long parent = 0;
    if (os_pid < 1 || state_of(os_pid, &parent) == 'Z' || parent != ::getpid()) continue;
    std::ifstream words(each.path() / "cmdline");
    std::string first;
    if (std::getline(words, first, '\0') && first == name) return static_cast<pid_t>(os_pid);
  }
  return -1;
}

[[nodiscard]] inline std::size_t open_descriptors() {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& each : std::filesystem::directory_iterator("/proc/self/fd")) ++count;
  return count;
}

// All that came of one program, until its end.
struct heard {
  std::vector<std::string> lines;  // "eol one", "noeol two", "err eol three", "chunk four"
  std::string output, errors;      // without the newlines, when by line
  std::uint64_t dropped = 0;
  std::string end = "none";
};

inline task<heard> listen(process& self, pid which) {
  heard out;
  for (;;) {
    auto got = co_await self.receive(20s);
    if (!got) co_return out;
    if (auto* some = got->get<program_output>(); some && some->program == which) {
      out.lines.push_back((some->errors ? "err " : "") +
                          std::string(some->chunk ? "chunk "
                                      : some->eol ? "eol "
                                                  : "noeol ") +
                          some->data);
      (some->errors ? out.errors : out.output) += some->data;
      out.dropped += some->dropped;
    } else if (auto* end = got->get<program_ended>(); end && end->program == which) {
      out.end = end->text();
      co_return out;
    }
  }
}

// The next line, or nothing after 20 s.
inline task<std::string> next_line(process& self) {
  auto got = co_await self.receive<program_output>(20s);
  co_return got ? got->data : std::string("no line");
}

// Its owner, who takes nothing, has as much as it may have.
inline task<bool> wait_paused(process& self, program which) {
  for (int i = 0; i < 20'000; ++i) {
    const program_info now = co_await which.info(self).or_exit();
    if (now.paused) co_return true;
    co_await self.sleep(1ms);
  }
  co_return false;
}

class ProgramTest : public OtpTest {
 protected:
  template <class F>
  auto run(F body) {
    return here->run(40s, std::move(body)).or_exit();
  }
  heard hear(const command& what) {
    return run([what](process& self) -> task<heard> {
      auto made = co_await start_program(self, what);
      auto listening = listen(self, std::move(made).or_exit().id());
      co_return co_await std::move(listening);
    });
  }
  // The code and the text of a refused start.
  std::string refusal(const command& what) {
    return run([what](process& self) -> task<std::string> {
      auto made = co_await start_program(self, what);
      if (made) co_await made->close(self).or_exit();
      co_return made ? "started" : made.error().message();
    });
  }
};

}  // namespace troupe::test
