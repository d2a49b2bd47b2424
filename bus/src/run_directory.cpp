#include <troupe/bus/run_directory.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <thread>

#include <troupe/bus/security.hpp>
#include <troupe/codec.hpp>

#include "crypto/proof.hpp"
#include "name_guard.hpp"
#include "private_file.hpp"
#include "unique_fd.hpp"

namespace troupe::bus {
namespace {

// Files of a node NAME, all in the run directory:
//   NAME.lock   held while it lives, never removed; the holder's os pid as text
//   NAME.node   what it announced, msgpack        NAME.key   its control key
//   NAME.sock   its ipc endpoint, or SHORT.sock when the path would be too long for a socket
namespace fs = std::filesystem;
using troupe::internal::read_whole;
using troupe::internal::system_failure;
using troupe::internal::unique_fd;

constexpr duration retry_pause = std::chrono::milliseconds(20);
constexpr std::size_t longest_file = 64 * 1024;

struct announcement {
  std::string name;
  std::uint64_t creation = 0;
  std::vector<std::string> endpoints;
  std::int64_t os_pid = 0;
  std::string application;
  std::string version;
  TROUPE_FIELDS(announcement, name, creation, endpoints, os_pid, application, version)
};

fs::path file_of(const fs::path& folder, std::string_view name, std::string_view ending) {
  return folder / (std::string(name) + std::string(ending));
}

// A lock of the open file, not of the process: two holders in one process exclude each other too, a child that execs
// loses it, and asking for it takes nothing away from anybody.
struct flock whole_file(short type) {
  struct flock out{};
  out.l_type = type;
  out.l_whence = SEEK_SET;
  return out;
}

bool is_held(const fs::path& lock) {
  unique_fd fd(::open(lock.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  if (!fd) return false;
  struct flock wanted = whole_file(F_WRLCK);
  return ::fcntl(fd.get(), F_OFD_GETLK, &wanted) == 0 && wanted.l_type != F_UNLCK;
}

std::int64_t holder_of(const fs::path& lock) {
  const auto text = read_whole(lock, 64);
  std::int64_t out = 0;
  if (text) std::from_chars(text->data(), text->data() + text->size(), out);
  return out;
}

// Is what `fd` has open still what is found at `path`?
bool is_open_file(int fd, const fs::path& path) {
  struct stat mine{};
  struct stat there{};
  return fd >= 0 && ::fstat(fd, &mine) == 0 && ::lstat(path.c_str(), &there) == 0 && mine.st_ino == there.st_ino &&
         mine.st_dev == there.st_dev;
}

// The lock, or nothing when another holds it.
result<unique_fd> try_lock(const fs::path& path) {
  for (;;) {
    unique_fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd) return system_failure("open", path);
    struct flock wanted = whole_file(F_WRLCK);
    if (::fcntl(fd.get(), F_OFD_SETLK, &wanted) != 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN || errno == EACCES) return unique_fd();
      return system_failure("lock", path);
    }
    // Somebody may have removed the file meanwhile: then this lock guards nothing.
    if (is_open_file(fd.get(), path)) return fd;
  }
}

result<void> write_holder(int fd, const fs::path& path) {
  const std::string text = std::to_string(::getpid()) + "\n";
  if (::ftruncate(fd, 0) != 0 || ::pwrite(fd, text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) {
    return system_failure("write", path);
  }
  return {};
}

result<endpoint> socket_of(const fs::path& folder, std::string_view name) {
  endpoint out{.kind = endpoint::scheme::ipc, .host = file_of(folder, name, ".sock").string()};
  if (out.host.size() <= longest_ipc_path) return out;
  const auto hash = troupe::internal::prove("", "troupe socket name", {{std::as_bytes(std::span(name))}});
  const std::string_view part(reinterpret_cast<const char*>(hash.data()), 10);
  out.host = file_of(folder, troupe::internal::base32(part), ".sock").string();
  if (out.host.size() <= longest_ipc_path) return out;
  return error(errc::too_large, "the run directory's path is too long for a socket (" +
                                    std::to_string(out.host.size()) + " bytes with its name, " +
                                    std::to_string(longest_ipc_path) +
                                    " are possible): set TROUPE_RUN_DIR to a "
                                    "shorter path");
}

class claim_of_name final : public name_claim {
 public:
  claim_of_name(fs::path folder, std::string name, std::string key, endpoint ipc, unique_fd lock, unique_fd guard)
      : folder_(std::move(folder)),
        name_(std::move(name)),
        control_key_(std::move(key)),
        ipc_(std::move(ipc)),
        lock_(std::move(lock)),
        guard_(std::move(guard)),
        folder_guard_(troupe::internal::guard_folder(folder_)) {}
  ~claim_of_name() override {
    forget();
    lock_.close();
  }

  // What a former life left behind: with the lock held it would look like ours.
  void forget() {
    ::unlink(file_of(folder_, name_, ".node").c_str());
    ::unlink(file_of(folder_, name_, ".key").c_str());
    ::unlink(ipc_.host.c_str());
  }

  const std::string& name() const noexcept override { return name_; }
  const std::string& control_key() const noexcept override { return control_key_; }
  const endpoint& ipc() const noexcept override { return ipc_; }

  result<void> announce(node_entry entry) override {
    announcement out;
    out.name = name_;
    out.creation = entry.creation;
    for (const endpoint& where : entry.endpoints) out.endpoints.push_back(where.text());
    out.os_pid = ::getpid();
    out.application = entry.application;
    out.version = entry.version;
    auto written = troupe::internal::replace_file(file_of(folder_, name_, ".key"), control_key_ + "\n");
    if (!written) return written;
    const bytes data = to_wire(out);
    return troupe::internal::replace_file(file_of(folder_, name_, ".node"),
                                          {reinterpret_cast<const char*>(data.data()), data.size()});
  }

  result<loss> look_after() override {
    const fs::path lock = file_of(folder_, name_, ".lock");
    if (!is_open_file(folder_guard_.get(), folder_)) {
      if (auto there = run_directory::open(folder_.string()); !there) return there.error();
      folder_guard_ = troupe::internal::guard_folder(folder_);
    }
    bool whole = is_there(file_of(folder_, name_, ".node")) && is_there(file_of(folder_, name_, ".key"));
    if (!is_open_file(lock_.get(), lock)) {
      auto again = try_lock(lock);
      if (!again) return again.error();
      // Where the kernel holds no names: another has come since. It has the files now, we have our connections.
      if (!*again) return error(errc::name_taken, "the files of " + name_ + " are another's: its lock was removed");
      if (auto written = write_holder(again->get(), lock); !written) return written.error();
      lock_ = std::move(*again);
      whole = false;
    }
    if (!is_there(ipc_.host)) return loss::socket;
    return whole ? loss::none : loss::files;
  }

 private:
  static bool is_there(const fs::path& path) {
    struct stat about{};
    return ::lstat(path.c_str(), &about) == 0;
  }

  const fs::path folder_;
  const std::string name_;
  const std::string control_key_;
  const endpoint ipc_;
  unique_fd lock_;
  unique_fd guard_;         // closed after the lock: see guard_name
  unique_fd folder_guard_;  // empty: not to be had yet
};

result<node_entry> read_entry(const fs::path& folder, std::string_view name) {
  const auto content = read_whole(file_of(folder, name, ".node"), longest_file);
  if (!content) return content.error();
  auto read = from_wire<announcement>(std::as_bytes(std::span(*content)), {.value_nodes = 1024, .depth = 4});
  if (!read) return read.error();
  if (read->name != name) return error(errc::bad_message, "a .node file under another's name");
  node_entry out;
  out.folder = folder;
  out.name = read->name;
  out.creation = read->creation;
  out.os_pid = read->os_pid;
  out.application = read->application;
  out.version = read->version;
  for (const std::string& text : read->endpoints) {
    if (auto where = endpoint::parse(text)) out.endpoints.push_back(std::move(*where));
  }
  return out;
}

result<void> check_folder(const fs::path& path) {
  struct stat about{};
  if (::lstat(path.c_str(), &about) != 0) return system_failure("look at the run directory", path);
  const std::string name = "the run directory " + path.string();
  if (S_ISLNK(about.st_mode)) {
    return error(errc::not_allowed, name + " is a symbolic link: remove it, or set TROUPE_RUN_DIR to where it leads");
  }
  if (!S_ISDIR(about.st_mode)) return error(errc::not_allowed, name + " is not a directory");
  if (about.st_uid != ::geteuid() && ::geteuid() != 0) {
    return error(errc::not_allowed, name + " belongs to user " + std::to_string(about.st_uid) +
                                        ", not to this one: nodes there answer the tools of that user and of root; a "
                                        "node of your own needs a TROUPE_RUN_DIR of your own");
  }
  if ((about.st_mode & 077) != 0) {
    return error(errc::not_allowed, name + " is open to others: chmod 700 " + path.string());
  }
  return {};
}

}  // namespace

namespace {

// Where a user's nodes may be, the preferred one first. A folder of the session ends with it, and comes again with the
// next one: the node announces itself there anew (look_after).
std::vector<std::string> usual_folders() {
  const auto user = ::geteuid();
  if (user == 0) return {"/run/troupe"};
  std::vector<std::string> out;
  const char* said = std::getenv("XDG_RUNTIME_DIR");
  const std::string session = said != nullptr && *said == '/' ? said : "/run/user/" + std::to_string(user);
  struct stat about{};
  if (::stat(session.c_str(), &about) == 0 && S_ISDIR(about.st_mode) && about.st_uid == user &&
      (about.st_mode & 077) == 0) {
    out.push_back(session + "/troupe");
  }
  out.push_back("/tmp/troupe-" + std::to_string(user));
  return out;
}

}  // namespace

std::string run_directory::default_path() {
  if (const char* chosen = std::getenv("TROUPE_RUN_DIR"); chosen != nullptr && *chosen != '\0') return chosen;
  return usual_folders().front();
}

result<run_directory> run_directory::open(std::string_view path) {
  std::error_code failed;
  fs::path folder = fs::absolute(path.empty() ? fs::path(default_path()) : fs::path(path), failed);
  if (failed) return error(errc::io, "no current directory: " + failed.message());
  folder = folder.lexically_normal();
  if (!folder.has_filename()) folder = folder.parent_path();
  fs::path part;
  for (const fs::path& name : folder) {
    part /= name;
    if (::mkdir(part.c_str(), 0700) == 0 || errno == EEXIST) continue;
    if (struct stat about{}; ::stat(part.c_str(), &about) == 0) continue;  // EROFS, EACCES: but it is there
    return system_failure("make the run directory", folder);
  }
  if (auto safe = check_folder(folder); !safe) return safe.error();
  run_directory out(std::move(folder));
  const char* chosen = std::getenv("TROUPE_RUN_DIR");
  if (path.empty() && (chosen == nullptr || *chosen == '\0')) {
    // Where it is safe; what is not is nothing that a node of ours would use.
    if (const auto usual = usual_folders(); usual.size() > 1 && check_folder(usual.back())) {
      out.other_ = usual.back();
    }
  }
  return out;
}

result<std::unique_ptr<name_claim>> run_directory::claim(std::string_view name, random_source& random,
                                                         duration patience) const {
  if (auto legal = check_node_name(name); !legal) return legal.error();
  auto ipc = socket_of(path_, name);
  if (!ipc) return ipc.error();
  const fs::path path = file_of(path_, name, ".lock");
  const auto clock = system_clock();
  const time_point end = deadline_after(clock->now(), patience);
  if (struct stat about{}; ::stat(path_.c_str(), &about) == 0 && about.st_uid != ::geteuid()) {
    return error(errc::not_allowed, "the run directory " + path_.string() + " belongs to user " +
                                        std::to_string(about.st_uid) +
                                        ": root's tools may look there, its nodes go elsewhere (TROUPE_RUN_DIR)");
  }
  const auto taken_by = [&](const fs::path& lock) {
    return error(errc::name_taken, "a node " + std::string(name) + " runs here already, as os process " +
                                       std::to_string(holder_of(lock)));
  };
  for (;;) {
    error taken = taken_by(path);
    auto lock = try_lock(path);
    if (!lock) return lock.error();
    if (*lock) {
      auto guard = troupe::internal::guard_name(path_, name);
      const fs::path elsewhere = other_.empty() ? fs::path() : file_of(other_, name, ".lock");
      if (!guard) {
        taken = guard.error();
      } else if (!elsewhere.empty() && is_held(elsewhere)) {
        taken = taken_by(elsewhere);
      } else {
        if (auto written = write_holder(lock->get(), path); !written) return written.error();
        auto out = std::make_unique<claim_of_name>(path_, std::string(name), generate_cookie(random), std::move(*ipc),
                                                   std::move(*lock), std::move(*guard));
        out->forget();
        return std::unique_ptr<name_claim>(std::move(out));
      }
    }
    if (clock->now() >= end) return taken;
    std::this_thread::sleep_for(retry_pause);
  }
}

result<std::vector<node_entry>> run_directory::list() const {
  std::vector<node_entry> out;
  for (const fs::path& folder : {path_, other_}) {
    if (folder.empty()) continue;
    std::error_code failed;
    for (fs::directory_iterator it(folder, failed), end; !failed && it != end; it.increment(failed)) {
      const fs::path& file = it->path();
      if (file.extension() != ".node") continue;
      const std::string name = file.stem().string();
      if (!check_node_name(name)) continue;
      auto entry = read_entry(folder, name);
      const fs::path lock = file_of(folder, name, ".lock");
      // The lock is asked last: what was read before it is then of the holder, or of one that announces itself anew.
      if (entry && is_held(lock) && holder_of(lock) == entry->os_pid) out.push_back(std::move(*entry));
    }
    if (failed && folder == path_) return error(errc::io, "cannot read " + folder.string() + ": " + failed.message());
  }
  std::ranges::sort(out, {}, &node_entry::name);
  return out;
}

result<node_entry> run_directory::lookup(std::string_view name) const {
  if (auto legal = check_node_name(name); !legal) return legal.error();
  const bool elsewhere =
      !other_.empty() && !is_held(file_of(path_, name, ".lock")) && is_held(file_of(other_, name, ".lock"));
  const fs::path& folder = elsewhere ? other_ : path_;
  auto entry = read_entry(folder, name);
  const fs::path lock = file_of(folder, name, ".lock");
  if (!is_held(lock)) {
    std::string running;
    if (const auto all = list()) {
      for (const node_entry& one : *all) running += (running.empty() ? "" : ", ") + one.name;
    }
    return error(errc::noproc, std::string(name) + (entry ? " has ended without a goodbye" : " does not run here") +
                                   (running.empty() ? "; no node does" : "; these do: " + running));
  }
  if (!entry || entry->os_pid != holder_of(lock)) {
    return error(errc::noconnection, std::string(name) + " is just starting: it has not announced itself yet");
  }
  auto key = troupe::internal::read_secret(file_of(folder, name, ".key"), 4096, true);
  if (!key) return key.error();
  while (!key->empty() && key->back() == '\n') key->pop_back();
  entry->control_key = std::move(*key);
  return entry;
}

}  // namespace troupe::bus
