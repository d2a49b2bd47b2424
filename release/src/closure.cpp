#include "closure.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <fstream>
#include <iterator>
#include <optional>
#include <set>

namespace troupe::internal {
namespace {

namespace fs = std::filesystem;

// An object as the loader sees it: RPATH is inherited from whoever asked for it first.
struct object {
  std::string name;
  fs::path file;
  elf_image image;
  const object* loader = nullptr;
};

std::optional<fs::path> expand(const std::string& entry, const fs::path& file) {
  if (entry.empty()) return std::nullopt;  // the current directory: of whoever starts it, not of this build
  std::string out = entry;
  for (std::string_view token : {"${ORIGIN}", "$ORIGIN"}) {
    std::string folder = file.parent_path().string();
    for (std::size_t at = out.find(token); at != std::string::npos; at = out.find(token, at + folder.size())) {
      out.replace(at, token.size(), folder);
    }
  }
  // $LIB and $PLATFORM name variants of folders that are searched anyway.
  if (entry.find("$LIB") != std::string::npos || entry.find("$PLATFORM") != std::string::npos) return std::nullopt;
  return fs::path(out);
}

class closure_finder {
 public:
  explicit closure_finder(const library_places& places) : places_(places) {}

  result<closure> find(const std::vector<fs::path>& executables) {
    for (const fs::path& executable : executables) {
      std::error_code failed;
      fs::path file = fs::canonical(executable, failed);
      if (failed) return error(errc::not_found, executable.string() + ": " + failed.message());
      auto image = read_elf(file);
      if (!image) return image.error();
      if (auto same = check_machine(file.string(), image->machine); !same) return same.error();
      if (auto walked = walk({file.filename().string(), file, std::move(*image), nullptr}); !walked)
        return walked.error();
    }
    for (auto& [name, found] : found_) out_.libraries.push_back(std::move(found));
    return std::move(out_);
  }

 private:
  result<void> check_machine(const std::string& name, std::uint16_t machine) {
    if (out_.machine == 0) out_.machine = machine;
    if (machine == out_.machine) return {};
    return error(errc::bad_message,
                 name + ": for " + machine_name(machine) + ", the others are for " + machine_name(out_.machine));
  }

  // Breadth first, as the loader does it; what one executable has loaded under a name is not searched for again.
  result<void> walk(object executable) {
    std::deque<object> objects;  // addresses stay
    std::set<std::string> loaded;
    objects.push_back(std::move(executable));
    for (std::size_t next = 0; next < objects.size(); ++next) {
      const object& from = objects[next];
      out_.glibc = std::max(out_.glibc, from.image.glibc);
      for (const std::string& name : from.image.needed) {
        if (belongs_to_glibc(name) || !loaded.insert(name).second) continue;
        auto found = search(from, name);
        if (!found) return found.error();
        if (auto kept = keep(from, *found); !kept) return kept.error();
        objects.push_back(std::move(*found));
      }
    }
    return {};
  }

  result<void> keep(const object& from, const object& found) {
    auto [at, added] = found_.try_emplace(found.name, library{found.name, found.file, from.name, found.image});
    if (!added && at->second.file != found.file) {
      return error(errc::bad_message, found.name + ": " + at->second.needed_by + " uses " + at->second.file.string() +
                                          ", but " + from.name + " uses " + found.file.string());
    }
    const auto& own = found.image.runpath.empty() ? found.image.rpath : found.image.runpath;
    if (added && !own.empty()) {
      out_.warnings.push_back(found.name + " looks for libraries in " + own.front() +
                              ": in the release it finds those that it needs in lib/, and none that it opens there "
                              "itself (dlopen)");
    }
    return {};
  }

  result<object> search(const object& from, const std::string& name) {
    if (name.find('/') != std::string::npos) {
      return error(errc::bad_message,
                   from.name + " needs " + name + " by its path: link it by name, or the release cannot be moved");
    }
    std::vector<fs::path> folders;
    if (from.image.runpath.empty()) {
      for (const object* at = &from; at; at = at->loader) {
        if (at->image.runpath.empty()) add(folders, at->image.rpath, at->file);
      }
    }
    folders.insert(folders.end(), places_.search_path.begin(), places_.search_path.end());
    add(folders, from.image.runpath, from.file);
    for (const fs::path& folder : folders) {
      if (auto found = fits(folder / name)) return made(from, name, std::move(*found));
    }
    if (auto cached = places_.cache.find(name); cached != places_.cache.end()) {
      for (const std::string& file : cached->second) {
        if (auto found = fits(file)) return made(from, name, std::move(*found));
      }
    }
    for (const fs::path& folder : places_.standard) {
      if (auto found = fits(folder / name)) return made(from, name, std::move(*found));
    }
    folders.insert(folders.end(), places_.standard.begin(), places_.standard.end());
    std::string looked;
    for (const fs::path& folder : folders) looked += (looked.empty() ? "" : ", ") + folder.lexically_normal().string();
    return error(errc::not_found, name + ", which " + from.name + " needs, is not there; looked in " + looked +
                                      " and the loader's cache");
  }

  static void add(std::vector<fs::path>& folders, const std::vector<std::string>& entries, const fs::path& file) {
    for (const std::string& entry : entries) {
      if (auto folder = expand(entry, file)) folders.push_back(std::move(*folder));
    }
  }

  // A file of another machine is passed over, as the loader does.
  std::optional<std::pair<fs::path, elf_image>> fits(const fs::path& candidate) {
    std::error_code failed;
    fs::path file = fs::canonical(candidate, failed);
    if (failed) return std::nullopt;
    auto image = read_elf(file);
    if (!image || image->machine != out_.machine) return std::nullopt;
    return std::pair(std::move(file), std::move(*image));
  }

  static object made(const object& from, const std::string& name, std::pair<fs::path, elf_image> found) {
    return {name, std::move(found.first), std::move(found.second), &from};
  }

  const library_places& places_;
  std::map<std::string, library> found_;
  closure out_;
};

// The layout of glibc's elf/cache.c, its newer form.
struct cache_header {
  std::array<char, 20> magic;
  std::uint32_t count;
  std::uint32_t text_size;
  std::array<std::uint32_t, 5> other;
};
struct cache_entry {
  std::int32_t flags;
  std::uint32_t key;
  std::uint32_t file;
  std::uint32_t os_version;
  std::uint64_t capabilities;
};

}  // namespace

bool belongs_to_glibc(std::string_view library) {
  static constexpr std::array<std::string_view, 12> exact = {
      "libc.so.6",   "libm.so.6",    "libpthread.so.0", "librt.so.1",   "libdl.so.2",           "libresolv.so.2",
      "libnsl.so.1", "libutil.so.1", "libanl.so.1",     "libmvec.so.1", "libBrokenLocale.so.1", "libthread_db.so.1"};
  return std::find(exact.begin(), exact.end(), library) != exact.end() || library.starts_with("ld-linux") ||
         library.starts_with("ld64.so") || library == "linux-vdso.so.1";
}

std::map<std::string, std::vector<std::string>> read_loader_cache(const fs::path& file) {
  std::map<std::string, std::vector<std::string>> out;
  std::ifstream in(file, std::ios::binary);
  std::string all((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  cache_header header{};
  static_assert(sizeof header == 48 && sizeof(cache_entry) == 24);
  if (all.size() < sizeof header) return out;
  std::memcpy(&header, all.data(), sizeof header);
  if (std::string_view(header.magic.data(), header.magic.size()) != "glibc-ld.so.cache1.1") return out;
  std::size_t count = std::min<std::size_t>(header.count, (all.size() - sizeof header) / sizeof(cache_entry));
  auto text = [&](std::uint32_t at) { return at < all.size() ? std::string(all.c_str() + at) : std::string(); };
  for (std::size_t i = 0; i < count; ++i) {
    cache_entry entry{};
    std::memcpy(&entry, all.data() + sizeof header + i * sizeof entry, sizeof entry);
    if (entry.capabilities == 0) out[text(entry.key)].push_back(text(entry.file));
  }
  return out;
}

library_places library_places::of_this_system() {
  library_places places;
  if (const char* given = std::getenv("LD_LIBRARY_PATH")) {
    std::string_view left = given;
    while (!left.empty()) {
      std::size_t colon = std::min(left.find(':'), left.size());
      if (colon > 0) places.search_path.emplace_back(left.substr(0, colon));
      left.remove_prefix(std::min(colon + 1, left.size()));
    }
  }
  places.cache = read_loader_cache("/etc/ld.so.cache");
#ifdef __x86_64__
  constexpr const char* multiarch = "x86_64-linux-gnu";
#elif defined(__aarch64__)
  constexpr const char* multiarch = "aarch64-linux-gnu";
#elif defined(__riscv)
  constexpr const char* multiarch = "riscv64-linux-gnu";
#elif defined(__powerpc64__)
  constexpr const char* multiarch = "powerpc64le-linux-gnu";
#else
  constexpr const char* multiarch = "s390x-linux-gnu";
#endif
  places.standard = {
      fs::path("/lib") / multiarch, fs::path("/usr/lib") / multiarch, "/lib64", "/usr/lib64", "/lib", "/usr/lib"};
  return places;
}

result<closure> find_closure(const std::vector<fs::path>& executables, const library_places& places) {
  return closure_finder(places).find(executables);
}

}  // namespace troupe::internal
