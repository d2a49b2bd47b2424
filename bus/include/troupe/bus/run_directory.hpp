#pragma once
// The folder by which programs of one user on one host find each other's nodes (bus/DESIGN.md, Trust). No port mapper:
// a node that lives holds a lock, and its files say the rest.
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <troupe/bus/endpoint.hpp>
#include <troupe/error.hpp>
#include <troupe/time.hpp>

namespace troupe::bus {

// What a live node tells about itself.
struct node_entry {
  std::string name;
  std::uint64_t creation = 0;
  std::vector<endpoint> endpoints;
  std::int64_t os_pid = 0;
  std::string application;
  std::string version;
  std::string control_key;       // read from its own 0600 file by `lookup`; never printed, never logged
  std::filesystem::path folder;  // the run directory that it was found in
};

// Held by a node while it lives. Owner: the node; any thread, one at a time. Its end frees the name: closing the lock
// is the last thing, the lock's file stays. A cleaner of tmp that removes the files frees nothing: the folder is locked
// against such ones (flock), and the kernel holds the name, too.
class name_claim {
 public:
  virtual ~name_claim() = default;
  [[nodiscard]] virtual const std::string& name() const noexcept = 0;
  // Random, drawn for this life; the node puts it into its `security`.
  [[nodiscard]] virtual const std::string& control_key() const noexcept = 0;
  // Where this node's ipc socket belongs, at most 107 bytes long. Only the holder of the claim may bind there.
  [[nodiscard]] virtual const endpoint& ipc() const noexcept = 0;
  // Writes the files by which `list` and `lookup` find the node; again when something changed. `name`, `os_pid` and
  // `control_key` of the entry are not read: the claim knows them.
  [[nodiscard]] virtual result<void> announce(node_entry entry) = 0;
  // What is missing of the files, now and then asked for; folder and lock are made again by that. Then the holder
  // announces itself again, after it has bound its socket anew when that was missing, too.
  enum class loss : std::uint8_t { none, files, socket };
  [[nodiscard]] virtual result<loss> look_after() = 0;
};

// A value: the path of a folder that was found to be safe (ours, 0700, no symlink).
class run_directory {
 public:
  // `path` empty: TROUPE_RUN_DIR, else /run/troupe for root, else XDG_RUNTIME_DIR/troupe (/run/user/UID/troupe where
  // the variable is not set), else /tmp/troupe-UID. Made (0700) if it is missing. A user's nodes are looked for in both
  // of the last two: who starts one by cron has no XDG_RUNTIME_DIR. Root may open another user's, to look and to ask.
  // errc::not_allowed says which check failed and what mends it; io what the system said.
  [[nodiscard]] static result<run_directory> open(std::string_view path = {});
  // Where `open` would look.
  [[nodiscard]] static std::string default_path();

  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

  // Takes the name for a new life; tries for `patience` (a dying holder), then errc::name_taken with the holder's os
  // pid. Blocks the calling thread.
  [[nodiscard]] result<std::unique_ptr<name_claim>> claim(std::string_view name, random_source& random,
                                                          duration patience = std::chrono::seconds(2)) const;
  // Live nodes only (their lock was tested), sorted by name, without control keys. Files of the dead are left alone.
  [[nodiscard]] result<std::vector<node_entry>> list() const;
  // errc::noproc: no such node here, or it is dead (the text says which, and names those that live); noconnection: it
  // holds its name but has not announced itself yet.
  [[nodiscard]] result<node_entry> lookup(std::string_view name) const;

 private:
  explicit run_directory(std::filesystem::path path) : path_(std::move(path)) {}
  std::filesystem::path path_;
  std::filesystem::path other_;  // of the same user: nodes may be there, too; empty: none
};

}  // namespace troupe::bus
