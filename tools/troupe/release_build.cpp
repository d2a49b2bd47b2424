#include <fstream>
#include <iostream>

#include <troupe/release.hpp>

#include "troupe/output.hpp"
#include "troupe/release_commands.hpp"

namespace troupe::tool {
namespace {

namespace fs = std::filesystem;

// A path as a rule of make has it.
std::string in_rule(const fs::path& file) {
  std::string out;
  for (char c : file.string()) {
    if (c == ' ' || c == '#' || c == '\\') out += '\\';
    if (c == '$') out += '$';
    out += c;
  }
  return out;
}

// "TARGET: INPUTS", for the build system that runs this.
result<void> write_depfile(const fs::path& file, const std::string& target, const release::built& made) {
  std::ofstream out(file);
  out << in_rule(target) << ":";
  for (const fs::path& input : made.inputs) out << " \\\n  " << in_rule(input);
  out << "\n";
  if (!out.flush()) return error(errc::io, file.string() + ": cannot be written");
  return {};
}

int run(const parsed_options& given) {
  if (given.has("depfile") != given.has("depfile-target")) {
    std::cerr << "troupe release build: --depfile and --depfile-target go together\n";
    return internal::exit_usage;
  }
  auto what = release::read_manifest(given.text("manifest", "release.toml"), given.text("NAME"));
  if (!what) return complain("release build", what.error());
  std::error_code failed;
  release::build_options how;
  how.root = given.has("path") ? fs::path(given.text("path")) : fs::path("rel") / what->name;
  how.version = given.text("version");
  how.default_version = given.text("default-version");
  how.executable = given.text("executable");
  how.overwrite = given.has("overwrite");
  // The tool of the release is this one.
  how.tool = fs::read_symlink("/proc/self/exe", failed);
  if (failed) return complain("release build", error(errc::io, "/proc/self/exe: " + failed.message()));
  how.warn = [](std::string_view line) { std::cerr << "troupe release build: warning: " << line << "\n"; };
  if (!given.has("quiet")) how.progress = [](std::string_view line) { emit("  " + std::string(line) + "\n"); };
  auto made = release::build(*what, how);
  if (!made) return complain("release build", made.error());
  if (given.has("depfile")) {
    auto written = write_depfile(given.text("depfile"), given.text("depfile-target"), *made);
    if (!written) return complain("release build", written.error());
  }
  if (!given.has("quiet")) {
    emit(made->name + " " + made->version + " stands at " + how.root.string() + "\n  " + made->script.string() +
         " help\n");
  }
  return internal::exit_ok;
}

}  // namespace

command release_build_command() {
  command_table rows;
  rows.name = "release build";
  rows.summary = "Assembles a release: one folder with program, tool, libraries, configuration and script.";
  rows.arguments = {{"NAME", "which release of the manifest; not needed where it has one, or a default", false}};
  rows.options = {
      {"--manifest", takes::text, "FILE", "what to assemble; release.toml if not said"},
      {"--path", takes::text, "FOLDER", "where the release will stand; rel/NAME if not said"},
      {"--version", takes::text, "VERSION", "instead of the manifest's"},
      {"--default-version", takes::text, "VERSION", "where the manifest says none"},
      {"--executable", takes::text, "FILE", "instead of the manifest's"},
      {"--overwrite", takes::nothing, "", "replace this version if it is there"},
      {"--depfile", takes::text, "FILE", "write there, as a rule of make, what the release was made of"},
      {"--depfile-target", takes::text, "FILE", "the target of that rule"},
      {"--quiet", takes::nothing, "", "print nothing but errors and warnings"},
  };
  rows.example =
      "troupe release build exercise --manifest examples/exercise/release.toml \\\n"
      "    --executable build/release/bin/exercise --version 0.1.0 --path /opt/exercise";
  rows.notes = "No file is executed. Other versions, and releases/COOKIE once it is there, are left as they are.";
  return {std::move(rows), run};
}

std::vector<command> release_commands() {
  return {release_build_command(), release_status_command(), release_pid_command(), release_shell_command()};
}

}  // namespace troupe::tool
