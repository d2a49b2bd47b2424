#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <iostream>
#include <system_error>

#include "troupe/output.hpp"
#include "troupe/session.hpp"

namespace troupe::tool {
namespace {

void add_row(table& to, const value& line) {
  to.row({plain_at(line, "key"), plain_at(line, "shown"), plain_at(line, "source"), plain_at(line, "default"),
          plain_at(line, "doc")});
}

table empty_table() { return table({"KEY", "VALUE", "SOURCE", "DEFAULT", "WHAT"}); }

std::string show_all(const value& found) {
  table shown = empty_table();
  for (const value& each : found.items() ? *found.items() : list()) add_row(shown, each);
  return shown.text();
}

int show_one(const parsed_options& given) {
  int status = internal::exit_ok;
  auto here = session::open("config", given, status);
  if (!here) return status;
  auto got = here->ask("troupe.config");
  if (!got) return here->fail(got.error());
  const std::string key = given.text("KEY");
  for (const value& each : got->items() ? *got->items() : list()) {
    if (each.text_at("key") != key) continue;
    table shown = empty_table();
    add_row(shown, each);
    if (given.has("json")) emit_json(each);
    else emit(shown.text());
    return internal::exit_ok;
  }
  return here->fail(error(errc::not_found, here->target() + " has no key \"" + key + "\"; `troupe config " +
                                               given.text("NODE") + "` shows all"));
}

int run(const parsed_options& given) {
  if (!given.has("KEY")) return ask_and_show("config", given, "troupe.config", {}, show_all);
  if (!given.has("VALUE")) return show_one(given);
  return ask_and_show("config", given, "troupe.config_set", {value(given.text("KEY")), value(given.text("VALUE"))},
                      [](const value&) { return std::string(); });
}

// -- of a program that does not run: it says so itself

// The words that have `given` explain: a program of its own, or the launcher of a release by its folder.
result<std::vector<std::string>> words_for(const std::string& given) {
  namespace fs = std::filesystem;
  std::error_code failed;
  if (!fs::is_directory(given, failed)) {
    if (::access(given.c_str(), X_OK) == 0) return std::vector<std::string>{given, "--explain-config"};
    const std::error_code why(errno, std::generic_category());
    return error(errc::not_found, given + ": " + why.message() + "; a program or a release's folder expected");
  }
  std::vector<std::string> found;
  for (const auto& each : fs::directory_iterator(fs::path(given) / "bin", failed)) {
    if (each.is_regular_file(failed) && ::access(each.path().c_str(), X_OK) == 0) found.push_back(each.path().string());
  }
  if (found.size() == 1 && fs::is_directory(fs::path(given) / "releases", failed))
    return std::vector<std::string>{found.front(), "config", "explain"};
  return error(errc::not_found, given + " is no release: bin/ with its one launcher and releases/ expected");
}

int run_explain(const parsed_options& given) {
  auto words = words_for(given.text("PROGRAM"));
  if (!words) return complain("config explain", words.error());
  for (const char* option : {"env", "config", "set"}) {
    for (const std::string& each : given.all(option)) {
      words->push_back(std::string("--") + option);
      words->push_back(each);
    }
  }
  std::vector<char*> exact;
  for (std::string& word : *words) exact.push_back(word.data());
  exact.push_back(nullptr);
  std::cout.flush();
  // A name without a slash is one of this folder, as it was looked at above.
  const std::string path =
      std::filesystem::path(words->front()).has_parent_path() ? words->front() : "./" + words->front();
  ::execv(path.c_str(), exact.data());
  const std::error_code why(errno, std::generic_category());
  return complain("config explain", error(errc::io, words->front() + ": " + why.message()));
}

}  // namespace

command config_explain_command() {
  command_table rows;
  rows.name = "config explain";
  rows.summary = "The configuration with which a program, or a release, would start: each value and its source.";
  rows.arguments = {{"PROGRAM", "a program of troupe::run, or the folder of a release"}};
  rows.options = {{"--env", takes::text, "ENV", "dev, test, prod, …: as the program's own option"},
                  {"--config", takes::text, "FILE", "read this file of configuration instead", true},
                  {"--set", takes::text, "KEY=VALUE", "set a key over every file", true}};
  rows.notes =
      "The program prints it itself (`PROGRAM --explain-config`, `bin/NAME config explain`), and starts nothing.";
  rows.example =
      "troupe config explain build/debug/bin/chat --env test\n"
      "troupe config explain /opt/exercise";
  return {std::move(rows), run_explain};
}

command config_command() {
  command_table rows;
  rows.name = "config";
  rows.summary = "The configuration of a running node: each value and where it comes from; or sets one.";
  rows.arguments = {
      node_argument(), {"KEY", "the only one to show, or to set", false}, {"VALUE", "what to set it to", false}};
  rows.options = with_session({});
  rows.notes =
      "Without VALUE nothing is changed. What is set lasts until the node stops: no file is written. Parts that read a "
      "key at their start see it at their next. Of a program that does not run: `troupe config explain PROGRAM`.";
  rows.example =
      "troupe config exercise\n"
      "troupe config exercise exercise.tick\n"
      "troupe config exercise exercise.tick 50ms";
  return {std::move(rows), run};
}

}  // namespace troupe::tool
