#pragma once
// A release: one folder that holds a program, the `troupe` tool, every library that they need except glibc, and the
// script that starts, attaches to and stops it. `troupe release build` and troupe_add_release() are made of this;
// release/README.md says what lies where.
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <troupe/error.hpp>

namespace troupe::release {

// What is to be assembled: one `[releases.NAME]` of a release.toml. Paths are absolute.
struct manifest {
  std::filesystem::path file;                   // where this is written
  std::string name;                             // a lower-case letter, then lower-case letters, digits and '_'
  std::string version;                          // may be empty when whoever builds gives one
  std::string node;                             // the node's name without host; the release's unless said otherwise
  std::filesystem::path executable;             // may be empty when whoever builds gives one
  std::optional<std::filesystem::path> config;  // folder whose *.toml are taken
  std::optional<std::filesystem::path> environment;  // a script (sh) that bin/NAME sources: env.sh
};

// `name` chooses one of several releases; empty: `default_release`, or the only one. errc::bad_config "FILE:LINE: what
// is wrong"; not_found when the file or that release is not there.
[[nodiscard]] result<manifest> read_manifest(const std::filesystem::path& file, std::string_view name = {});

struct build_options {
  std::filesystem::path root;        // of the release; made if it is missing
  std::filesystem::path tool;        // the `troupe` executable
  std::string version;               // instead of the manifest's
  std::string default_version;       // where neither says one
  std::filesystem::path executable;  // instead of the manifest's
  bool overwrite = false;            // replace this version if it is there; other versions are never touched
  // Told one line for each thing done.
  std::function<void(std::string_view)> progress;
  std::function<void(std::string_view)> warn;  // what may not work on the target; empty: told to nobody
};

struct built {
  std::string name;
  std::string version;
  std::filesystem::path script;  // ROOT/bin/NAME
  std::string glibc;             // "2.36": the oldest that it runs on
  std::size_t libraries = 0;
  // What it was made of, files and the folder of the configuration: when one of these changes, so would the release.
  std::vector<std::filesystem::path> inputs;
};

// Puts the version together beside its place and moves it there as the last step but one (the last says that it is the
// current one): a failed or killed build leaves what was there. Executes none of the files. Blocks.
// errc::already_started: that version is there and `overwrite` was not asked for; name_taken: the folder holds another
// release; not_found: an executable or a library is missing; bad_config: names, versions or configuration files that
// are none; bad_message: not an ELF file, or linked without DT_RPATH $ORIGIN/../lib; io: what the system said.
[[nodiscard]] result<built> build(const manifest& what, const build_options& how);

}  // namespace troupe::release
