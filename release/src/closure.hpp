#pragma once
// Which shared libraries executables need, found as the dynamic loader finds them, without running anything.
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "elf_image.hpp"

namespace troupe::internal {

// Where the loader looks besides what the files say themselves.
struct library_places {
  std::vector<std::filesystem::path> search_path;         // LD_LIBRARY_PATH
  std::map<std::string, std::vector<std::string>> cache;  // name -> files, from /etc/ld.so.cache
  std::vector<std::filesystem::path> standard;            // /usr/lib/x86_64-linux-gnu, …

  // Of this machine and this program's environment.
  [[nodiscard]] static library_places of_this_system();
};

// A file that cannot be read, or is none that we know, gives nothing: the standard folders remain. Variants for newer
// processors (glibc-hwcaps) are left out, since a release may move to an older machine.
[[nodiscard]] std::map<std::string, std::vector<std::string>> read_loader_cache(const std::filesystem::path& file);

struct library {
  std::string name;            // as it is needed, and as it will be called in the release
  std::filesystem::path file;  // where it lies, links resolved
  std::string needed_by;       // the first who needs it
  elf_image image;
};

struct closure {
  std::vector<library> libraries;  // sorted by name, glibc's own left out
  glibc_version glibc;             // what the executables and all libraries need
  std::uint16_t machine = 0;
  std::vector<std::string> warnings;
};

// glibc and the loader belong to the host: a copy of them would not fit its kernel's, locale's and name service's
// parts.
[[nodiscard]] bool belongs_to_glibc(std::string_view library);

// errc::not_found "libx.so.1, which NAME needs, …" with the places looked at; bad_message for files that are no ELF, of
// different machines, or need a library by its path.
[[nodiscard]] result<closure> find_closure(const std::vector<std::filesystem::path>& executables,
                                           const library_places& places);

}  // namespace troupe::internal
