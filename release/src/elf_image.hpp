#pragma once
// What the dynamic loader would read of an ELF file, read by ourselves: `ldd` may execute the file that it is asked
// about.
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <troupe/error.hpp>

namespace troupe::internal {

struct glibc_version {
  unsigned major = 0;
  unsigned minor = 0;
  friend auto operator<=>(const glibc_version&, const glibc_version&) = default;
};
[[nodiscard]] std::string to_string(glibc_version version);  // "2.36"; "" for 0.0

// A value. Lists are in the file's order; of a static executable they are empty.
struct elf_image {
  std::uint16_t machine = 0;  // EM_X86_64, …
  std::string interpreter;
  std::string soname;
  std::vector<std::string> needed;
  std::vector<std::string> rpath;    // DT_RPATH, taken apart at ':', empty entries included
  std::vector<std::string> runpath;  // DT_RUNPATH; where it is present the loader ignores DT_RPATH
  glibc_version glibc;               // greatest GLIBC_x.y among the needed symbol versions
};

// 64-bit files of this machine's byte order. errc::bad_message "NAME: …" for anything else and for whatever points out
// of the file; no content makes it read outside `image` or allocate more than the image's size.
[[nodiscard]] result<elf_image> parse_elf(std::span<const std::byte> image, const std::string& name);
// errc::not_found, io; too_large above 2 GiB.
[[nodiscard]] result<elf_image> read_elf(const std::filesystem::path& file);

// Takes DT_RPATH and DT_RUNPATH out of a file's dynamic section, in place. The loader then looks for what it needs
// where those who load it look: with a RUNPATH of its own it would ask there alone. errc as read_elf.
[[nodiscard]] result<void> drop_search_paths(const std::filesystem::path& file);

[[nodiscard]] std::string machine_name(std::uint16_t machine);  // as `uname -m` says it: "x86_64"

}  // namespace troupe::internal
