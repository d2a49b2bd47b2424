// Assembling a release. Everything of one version is put together in a hidden folder beside its place and moved there
// by one rename; the script, the cookie and `current` are small files, each replaced by a rename of its own, `current`
// last.
#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <utility>

#include <troupe/release.hpp>

#include "boot/toml.hpp"
#include "closure.hpp"
#include "launcher.hpp"
#include "names.hpp"

namespace troupe::release {
namespace {

namespace fs = std::filesystem;
using namespace troupe::internal;

constexpr std::string_view rpath = "$ORIGIN/../lib";

error io_error(const fs::path& file, const std::error_code& why) {
  return error(errc::io, file.string() + ": " + why.message());
}
error io_error(const fs::path& file) { return io_error(file, std::error_code(errno, std::generic_category())); }

// Base32, 8 characters for 5 bytes.
std::string random_text(std::size_t size) {
  std::string random(size, '\0');
  for (std::size_t done = 0; done < size;) {
    ssize_t got = getrandom(random.data() + done, size - done, 0);
    if (got > 0) done += static_cast<std::size_t>(got);
  }
  std::string out;
  unsigned held = 0, bits = 0;
  for (char byte : random) {
    held = (held << 8 | static_cast<unsigned char>(byte)) & 0xffffu;
    for (bits += 8; bits >= 5; bits -= 5) out += "abcdefghijklmnopqrstuvwxyz234567"[held >> (bits - 5) & 31];
  }
  if (bits > 0) out += "abcdefghijklmnopqrstuvwxyz234567"[held << (5 - bits) & 31];
  return out;
}

// A hidden name beside `file` that nobody else has, be it another build at the same time.
fs::path beside(const fs::path& file) {
  return file.parent_path() / ("." + file.filename().string() + "." + random_text(5));
}

result<void> write_all(int fd, const fs::path& file, std::string_view text) {
  while (!text.empty()) {
    ssize_t written = write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return io_error(file);
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  if (fsync(fd) != 0) return io_error(file);
  return {};
}

// With exactly this mode, whatever the umask.
result<void> write_new(const fs::path& file, std::string_view text, mode_t mode) {
  int fd = open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
  if (fd < 0) return io_error(file);
  auto written = fchmod(fd, mode) == 0 ? write_all(fd, file, text) : result<void>(io_error(file));
  close(fd);
  return written;
}

result<void> replace_file(const fs::path& file, std::string_view text, mode_t mode) {
  fs::path fresh = beside(file);
  auto done = write_new(fresh, text, mode);
  if (done && rename(fresh.c_str(), file.c_str()) != 0) done = io_error(file);
  if (!done) unlink(fresh.c_str());
  return done;
}

result<void> make_folder(const fs::path& folder) {
  std::error_code failed;
  fs::create_directories(folder, failed);
  if (failed) return io_error(folder, failed);
  return {};
}

result<void> copy_as(const fs::path& from, const fs::path& to, mode_t mode) {
  std::error_code failed;
  fs::copy_file(from, to, failed);
  if (failed) return io_error(from, failed);
  if (chmod(to.c_str(), mode) != 0) return io_error(to);
  return {};
}

std::string megabytes(std::uintmax_t size) {
  std::uintmax_t tenths = (size * 10 + 524288) / 1048576;
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " MiB";
}

// Texts of a TOML file; what goes in has no control characters but what a path may have.
std::string quoted(std::string_view text) {
  static constexpr std::string_view hex = "0123456789abcdef";
  std::string out = "\"";
  for (char c : text) {
    auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      out += "\\u00";
      out += hex[byte >> 4];
      out += hex[byte & 15];
      continue;
    }
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

class builder {
 public:
  builder(const manifest& what, const build_options& how) : what_(what), how_(how) {}

  ~builder() {
    std::error_code ignored;
    if (!fresh_.empty()) fs::remove_all(fresh_, ignored);
    if (!old_.empty()) fs::remove_all(old_, ignored);
  }

  builder(const builder&) = delete;
  builder& operator=(const builder&) = delete;

  result<built> run() {
    for (auto step : {&builder::check, &builder::find_libraries, &builder::assemble, &builder::install}) {
      if (auto done = (this->*step)(); !done) return done.error();
    }
    return built{what_.name, version_, script_, to_string(closure_.glibc), closure_.libraries.size(), inputs()};
  }

 private:
  void say(const std::string& line) const {
    if (how_.progress) how_.progress(line);
  }

  [[nodiscard]] std::vector<fs::path> inputs() const {
    std::vector<fs::path> out = {what_.file, executable_, how_.tool};
    for (const library& item : closure_.libraries) out.push_back(item.file);
    if (what_.config) out.push_back(*what_.config);
    out.insert(out.end(), config_files_.begin(), config_files_.end());
    if (what_.environment) out.push_back(*what_.environment);
    return out;
  }

  result<void> check() {
    version_ = how_.version.empty() ? what_.version : how_.version;
    if (version_.empty()) version_ = how_.default_version;
    executable_ = how_.executable.empty() ? what_.executable : how_.executable;
    if (!is_release_name(what_.name)) return error(errc::bad_config, "\"" + what_.name + "\" is no name of a release");
    if (!is_node_part(what_.node)) return error(errc::bad_config, "\"" + what_.node + "\" is no node's name");
    if (version_.empty()) return error(errc::bad_config, "no version: give one in the manifest or with --version");
    if (!is_version(version_)) return error(errc::bad_config, no_version(version_));
    if (executable_.empty())
      return error(errc::bad_config, "no executable: give one in the manifest or with --executable");
    std::error_code failed;
    fs::path root = fs::absolute(how_.root, failed).lexically_normal();
    if (failed) return io_error(how_.root, failed);
    releases_ = root / "releases";
    place_ = releases_ / version_;
    script_ = root / "bin" / what_.name;
    if (auto ours = check_folder(); !ours) return ours;
    if (!how_.overwrite && fs::exists(fs::symlink_status(place_, failed))) {
      return error(errc::already_started, place_.string() + " is there already; --overwrite replaces it");
    }
    return {};
  }

  // A folder holds versions of one release: `current` and the cookie are of that one.
  [[nodiscard]] result<void> check_folder() const {
    std::ifstream in(releases_ / "current");
    std::string other;
    if (!(in >> other) || other == what_.name) return {};
    return error(errc::name_taken, releases_.parent_path().string() + " holds the release " + other + ": build " +
                                       what_.name + " in a folder of its own (--path)");
  }

  // The loader must find the release's libraries, those of libraries too, wherever the folder lies: only DT_RPATH does.
  static result<void> check_rpath(const fs::path& file) {
    auto image = read_elf(file);
    if (!image) return image.error();
    if (image->interpreter.empty())
      return error(errc::bad_message, file.string() + ": not a dynamically linked executable");
    std::string remedy = " (in CMake: troupe_release_rpath(TARGET); else link with -Wl,--disable-new-dtags,-rpath,'" +
                         std::string(rpath) + "')";
    if (!image->runpath.empty()) {
      return error(errc::bad_message, file.string() +
                                          ": has DT_RUNPATH, which libraries of libraries do not inherit; DT_RPATH " +
                                          std::string(rpath) + " is needed" + remedy);
    }
    if (image->rpath.empty() || image->rpath.front() != rpath) {
      std::string found = image->rpath.empty() ? "has no DT_RPATH" : "its DT_RPATH begins with " + image->rpath.front();
      return error(errc::bad_message, file.string() + ": " + found + "; it must be " + std::string(rpath) + remedy);
    }
    if (std::find(image->rpath.begin(), image->rpath.end(), "") != image->rpath.end()) {
      return error(errc::bad_message, file.string() +
                                          ": its DT_RPATH has an empty entry, which is the directory where it " +
                                          "is started: anybody's libraries" + remedy);
    }
    return {};
  }

  result<void> find_libraries() {
    for (const fs::path& file : {executable_, how_.tool}) {
      if (auto good = check_rpath(file); !good) return good;
    }
    auto found = find_closure({executable_, how_.tool}, library_places::of_this_system());
    if (!found) return found.error();
    closure_ = std::move(*found);
    for (const std::string& warning : closure_.warnings) {
      if (how_.warn) how_.warn(warning);
    }
    return {};
  }

  result<void> assemble() {
    fresh_ = beside(place_);
    if (auto made = make_folder(fresh_); !made) return made;
    for (auto step : {&builder::copy_executables, &builder::copy_libraries, &builder::copy_config}) {
      if (auto done = (this->*step)(); !done) return done;
    }
    return write_new(fresh_ / "manifest.toml", describe(), 0644);
  }

  result<void> copy_executables() {
    if (auto made = make_folder(fresh_ / "exec"); !made) return made;
    std::uintmax_t size = 0;
    std::error_code ignored;
    for (const auto& [name, file] : {std::pair(what_.name, executable_), std::pair(std::string("troupe"), how_.tool)}) {
      if (auto copied = copy_as(file, fresh_ / "exec" / name, 0755); !copied) return copied;
      size += fs::file_size(file, ignored);
    }
    say("executables: " + what_.name + " and troupe (" + megabytes(size) + ")");
    return {};
  }

  result<void> copy_libraries() {
    if (auto made = make_folder(fresh_ / "lib"); !made) return made;
    std::uintmax_t size = 0;
    std::error_code ignored;
    for (const library& item : closure_.libraries) {
      const fs::path copy = fresh_ / "lib" / item.name;
      if (auto copied = copy_as(item.file, copy, 0644); !copied) return copied;
      if (!item.image.rpath.empty() || !item.image.runpath.empty()) {
        if (auto dropped = drop_search_paths(copy); !dropped) return dropped;
      }
      size += fs::file_size(item.file, ignored);
    }
    say("libraries: " + std::to_string(closure_.libraries.size()) + " (" + megabytes(size) +
        "), all but glibc's, of which " + to_string(closure_.glibc) + " is needed");
    return {};
  }

  result<void> copy_config() {
    if (auto made = make_folder(fresh_ / "config"); !made) return made;
    std::vector<fs::path>& files = config_files_;
    if (what_.config) {
      std::error_code failed;
      for (fs::directory_iterator at(*what_.config, failed), end; !failed && at != end; at.increment(failed)) {
        if (at->path().extension() == ".toml") files.push_back(at->path());
      }
      if (failed) return io_error(*what_.config, failed);
    }
    std::sort(files.begin(), files.end());
    for (const fs::path& file : files) {
      auto entries = read_toml(file.string());  // what is no TOML is found now and not when the node starts
      if (!entries) return entries.error();
      if (auto copied = copy_as(file, fresh_ / "config" / file.filename(), 0644); !copied) return copied;
      say("configuration: " + file.filename().string());
    }
    if (what_.environment) {
      if (auto copied = copy_as(*what_.environment, fresh_ / "env.sh", 0644); !copied) return copied;
      say("environment: env.sh");
    }
    return {};
  }

  // bin/NAME reads the first lines, one key each, until the first table.
  [[nodiscard]] std::string describe() const {
    std::string out = "# What this release is; bin/" + what_.name + " reads it.\n";
    auto line = [&](std::string_view key, std::string_view text) {
      out += std::string(key) + " = " + quoted(text) + "\n";
    };
    line("name", what_.name);
    line("version", version_);
    line("node", what_.node);
    line("architecture", machine_name(closure_.machine));
    line("glibc", to_string(closure_.glibc));
    for (const library& item : closure_.libraries) {
      out += "\n[[libraries]]\n";
      line("name", item.name);
      line("from", item.file.string());
      line("needed_by", item.needed_by);
    }
    return out;
  }

  result<void> install() {
    if (auto made = make_cookie_file(); !made) return made;
    if (auto made = make_folder(script_.parent_path()); !made) return made;
    if (auto moved = move_into_place(); !moved) return moved;
    if (auto written = replace_file(script_, launcher_script(what_.name), 0755); !written) return written;
    return replace_file(releases_ / "current", what_.name + " " + version_ + "\n", 0644);
  }

  // Made once: later versions in this folder, and the nodes that run from it, go on with the same one.
  result<void> make_cookie_file() {
    fs::path file = releases_ / "COOKIE";
    std::error_code failed;
    if (fs::exists(fs::symlink_status(file, failed))) return {};
    // By link, not by rename: of two builds at once one makes the file and the other keeps it.
    fs::path fresh = beside(file);
    if (auto written = write_new(fresh, random_text(32) + "\n", 0600); !written) return written;
    bool linked = link(fresh.c_str(), file.c_str()) == 0;
    int why = errno;
    fs::remove(fresh, failed);
    if (!linked && why != EEXIST) return io_error(file, std::error_code(why, std::generic_category()));
    if (linked) say("cookie: " + file.string() + " (new, 0600)");
    return {};
  }

  result<void> move_into_place() {
    std::error_code ignored;
    if (how_.overwrite && fs::exists(fs::symlink_status(place_, ignored))) {
      // In one step, so that whoever starts the release meanwhile, or after a power cut, finds the one or the other.
      if (renameat2(AT_FDCWD, fresh_.c_str(), AT_FDCWD, place_.c_str(), RENAME_EXCHANGE) == 0) {
        old_ = std::exchange(fresh_, {});
        return {};
      }
      // Not every file system can (NFS, overlays of old kernels); then the version is not there for a moment.
      fs::path old = beside(place_);
      if (rename(place_.c_str(), old.c_str()) != 0) return io_error(place_);
      if (rename(fresh_.c_str(), place_.c_str()) != 0) {
        error why = io_error(place_);
        (void)rename(old.c_str(), place_.c_str());
        return why;
      }
      old_ = old;
    } else if (rename(fresh_.c_str(), place_.c_str()) != 0) {
      if (errno != ENOTEMPTY && errno != EEXIST) return io_error(place_);
      return error(errc::already_started, place_.string() + " has just been made by another build");
    }
    fresh_.clear();
    return {};
  }

  const manifest& what_;
  const build_options& how_;
  std::string version_;
  fs::path executable_, releases_, place_, script_;
  fs::path fresh_, old_;  // removed at the end, when they are there
  closure closure_;
  std::vector<fs::path> config_files_;
};

}  // namespace

result<built> build(const manifest& what, const build_options& how) { return builder(what, how).run(); }

}  // namespace troupe::release
