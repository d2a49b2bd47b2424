#include "elf_image.hpp"

#include <elf.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <optional>

namespace troupe::internal {
namespace {

constexpr std::size_t most_program_headers = 1024;  // real files have about a dozen
constexpr std::size_t most_dynamic_entries = 65536;
constexpr std::size_t most_version_needs = 65536;  // also ends a chain that runs in a circle

std::optional<glibc_version> glibc_of(std::string_view symbol_version) {
  // The marker of packed relative relocations, which the loader understands since 2.36.
  if (symbol_version == "GLIBC_ABI_DT_RELR") return glibc_version{2, 36};
  if (!symbol_version.starts_with("GLIBC_")) return std::nullopt;
  const char* at = symbol_version.data() + 6;
  const char* end = symbol_version.data() + symbol_version.size();
  glibc_version found;
  auto [after_major, bad_major] = std::from_chars(at, end, found.major);
  if (bad_major != std::errc() || after_major == end || *after_major != '.') return std::nullopt;
  auto [after_minor, bad_minor] = std::from_chars(after_major + 1, end, found.minor);
  // GLIBC_2.2.5 asks for 2.2: a third number has not been used since.
  if (bad_minor != std::errc() || (after_minor != end && *after_minor != '.')) return std::nullopt;
  return found;
}

std::vector<std::string> split_path(std::string_view text) {
  std::vector<std::string> parts;
  for (;;) {
    std::size_t colon = text.find(':');
    parts.emplace_back(text.substr(0, colon));
    if (colon == std::string_view::npos) return parts;
    text.remove_prefix(colon + 1);
  }
}

// Every offset comes from the file and is checked where it is used; the first failure is kept and ends the reading.
class elf_reader {
 public:
  elf_reader(std::span<const std::byte> image, const std::string& name) : image_(image), name_(name) {}

  result<elf_image> read() {
    if (!read_header() || !read_segments()) return error(errc::bad_message, name_ + ": " + failure_);
    if (dynamic_.p_type == PT_DYNAMIC && !read_dynamic()) return error(errc::bad_message, name_ + ": " + failure_);
    return std::move(out_);
  }

  // The dynamic section without the two, and where it begins; of the same size, so it ends in more empty entries.
  result<std::pair<std::uint64_t, std::vector<Elf64_Dyn>>> without_search_paths() {
    if (!read_header() || !read_segments()) return error(errc::bad_message, name_ + ": " + failure_);
    std::vector<Elf64_Dyn> kept;
    if (dynamic_.p_type != PT_DYNAMIC) return std::pair(std::uint64_t{0}, std::move(kept));
    const std::size_t count = std::min<std::uint64_t>(dynamic_.p_filesz / sizeof(Elf64_Dyn), most_dynamic_entries);
    for (std::size_t i = 0; i < count; ++i) {
      Elf64_Dyn entry{};
      if (dynamic_.p_offset > image_.size() || !load(dynamic_.p_offset + i * sizeof entry, entry)) {
        return error(errc::bad_message, name_ + ": truncated ELF file (dynamic section)");
      }
      if (entry.d_tag != DT_RPATH && entry.d_tag != DT_RUNPATH) kept.push_back(entry);
    }
    kept.resize(count);
    return std::pair(dynamic_.p_offset, std::move(kept));
  }

 private:
  bool fail(std::string what) {
    failure_ = std::move(what);
    return false;
  }

  template <class T>
  bool load(std::uint64_t offset, T& into) {
    if (offset > image_.size() || image_.size() - offset < sizeof(T)) return fail("truncated ELF file");
    std::memcpy(&into, image_.data() + offset, sizeof(T));
    return true;
  }

  bool read_header() {
    if (image_.size() < EI_NIDENT || std::memcmp(image_.data(), ELFMAG, SELFMAG) != 0) return fail("not an ELF file");
    if (static_cast<unsigned char>(image_[EI_CLASS]) != ELFCLASS64) return fail("not a 64-bit ELF file");
    constexpr unsigned char ours = std::endian::native == std::endian::little ? ELFDATA2LSB : ELFDATA2MSB;
    if (static_cast<unsigned char>(image_[EI_DATA]) != ours) return fail("an ELF file of the other byte order");
    if (!load(0, header_)) return false;
    if (header_.e_type != ET_EXEC && header_.e_type != ET_DYN)
      return fail("neither an executable nor a shared library");
    out_.machine = header_.e_machine;
    return true;
  }

  bool read_segments() {
    if (header_.e_phnum > most_program_headers) return fail("too many program headers");
    if (header_.e_phnum > 0 && header_.e_phentsize < sizeof(Elf64_Phdr)) return fail("program headers of a wrong size");
    for (std::size_t i = 0; i < header_.e_phnum; ++i) {
      Elf64_Phdr segment{};
      if (header_.e_phoff > image_.size() || !load(header_.e_phoff + i * header_.e_phentsize, segment)) {
        return fail("truncated ELF file (program headers)");
      }
      if (segment.p_type == PT_LOAD) loads_.push_back(segment);
      if (segment.p_type == PT_DYNAMIC) dynamic_ = segment;
      if (segment.p_type == PT_INTERP) {
        auto text = text_at(segment.p_offset, segment.p_filesz);
        if (!text) return fail("its interpreter lies outside the file");
        out_.interpreter = *text;
      }
    }
    return true;
  }

  bool read_dynamic() {
    std::vector<std::pair<std::int64_t, std::uint64_t>> texts;  // tags whose value is an offset of the string table
    std::uint64_t strings = 0, versions = 0, version_count = 0;
    std::size_t count = std::min<std::uint64_t>(dynamic_.p_filesz / sizeof(Elf64_Dyn), most_dynamic_entries);
    for (std::size_t i = 0; i < count; ++i) {
      Elf64_Dyn entry{};
      if (dynamic_.p_offset > image_.size() || !load(dynamic_.p_offset + i * sizeof entry, entry)) {
        return fail("truncated ELF file (dynamic section)");
      }
      if (entry.d_tag == DT_NULL) break;
      switch (entry.d_tag) {
        case DT_NEEDED:
        case DT_SONAME:
        case DT_RPATH:
        case DT_RUNPATH: texts.emplace_back(entry.d_tag, entry.d_un.d_val); break;
        case DT_STRTAB: strings = entry.d_un.d_ptr; break;
        case DT_STRSZ: strings_size_ = entry.d_un.d_val; break;
        case DT_VERNEED: versions = entry.d_un.d_ptr; break;
        case DT_VERNEEDNUM: version_count = entry.d_un.d_val; break;
        default: break;
      }
    }
    if (texts.empty() && versions == 0) return true;
    auto offset = offset_of(strings);
    if (!offset) return fail("its string table lies outside the file");
    strings_ = *offset;
    return read_texts(texts) && (versions == 0 || read_versions(versions, version_count));
  }

  bool read_texts(const std::vector<std::pair<std::int64_t, std::uint64_t>>& texts) {
    for (auto [tag, at] : texts) {
      auto text = string_at(at);
      if (!text) return fail("a name lies outside its string table");
      if (tag == DT_NEEDED) out_.needed.emplace_back(*text);
      if (tag == DT_SONAME) out_.soname = *text;
      if (tag == DT_RPATH) out_.rpath = split_path(*text);
      if (tag == DT_RUNPATH) out_.runpath = split_path(*text);
    }
    return true;
  }

  // .gnu.version_r: a chain of libraries, each with a chain of the symbol versions that are needed of it.
  bool read_versions(std::uint64_t address, std::uint64_t libraries) {
    auto start = offset_of(address);
    if (!start) return fail("its version needs lie outside the file");
    std::uint64_t at = *start;
    std::size_t seen = 0;
    for (std::uint64_t i = 0; i < libraries; ++i) {
      Elf64_Verneed library{};
      if (!load(at, library)) return fail("truncated ELF file (version needs)");
      std::uint64_t aux_at = at + library.vn_aux;
      for (unsigned j = 0; j < library.vn_cnt; ++j) {
        if (++seen > most_version_needs) return fail("too many version needs");
        Elf64_Vernaux need{};
        if (!load(aux_at, need)) return fail("truncated ELF file (version needs)");
        auto text = string_at(need.vna_name);
        if (!text) return fail("a symbol version lies outside its string table");
        if (auto version = glibc_of(*text)) out_.glibc = std::max(out_.glibc, *version);
        if (need.vna_next == 0) break;
        aux_at += need.vna_next;
      }
      if (library.vn_next == 0) break;
      if (++seen > most_version_needs) return fail("too many version needs");
      at += library.vn_next;
    }
    return true;
  }

  [[nodiscard]] std::optional<std::uint64_t> offset_of(std::uint64_t address) const {
    for (const Elf64_Phdr& segment : loads_) {
      if (address < segment.p_vaddr || address - segment.p_vaddr >= segment.p_filesz) continue;
      std::uint64_t inside = address - segment.p_vaddr;
      if (segment.p_offset > image_.size() || inside >= image_.size() - segment.p_offset) return std::nullopt;
      return segment.p_offset + inside;
    }
    return std::nullopt;
  }

  [[nodiscard]] std::optional<std::string_view> string_at(std::uint64_t at) const {
    if (at >= strings_size_ || at >= image_.size() || strings_ > image_.size() - at) return std::nullopt;
    return text_at(strings_ + at, strings_size_ - at);
  }

  // Up to its zero byte, which must come within `most` bytes.
  [[nodiscard]] std::optional<std::string_view> text_at(std::uint64_t offset, std::uint64_t most) const {
    if (offset >= image_.size()) return std::nullopt;
    std::size_t room = std::min<std::uint64_t>(most, image_.size() - offset);
    std::string_view all(reinterpret_cast<const char*>(image_.data()) + offset, room);
    std::size_t end = all.find('\0');
    if (end == std::string_view::npos) return std::nullopt;
    return all.substr(0, end);
  }

  std::span<const std::byte> image_;
  const std::string& name_;
  Elf64_Ehdr header_{};
  Elf64_Phdr dynamic_{};
  std::vector<Elf64_Phdr> loads_;
  std::uint64_t strings_ = 0;
  std::uint64_t strings_size_ = 0;
  elf_image out_;
  std::string failure_;
};

}  // namespace

std::string to_string(glibc_version version) {
  if (version.major == 0) return {};
  return std::to_string(version.major) + "." + std::to_string(version.minor);
}

result<elf_image> parse_elf(std::span<const std::byte> image, const std::string& name) {
  return elf_reader(image, name).read();
}

namespace {

result<std::vector<std::byte>> read_image(const std::filesystem::path& file) {
  constexpr std::uintmax_t most = 2ull << 30;
  std::error_code failed;
  if (std::filesystem::is_directory(file, failed)) return error(errc::io, file.string() + ": is a directory");
  std::uintmax_t size = std::filesystem::file_size(file, failed);
  if (failed) {
    bool missing = failed == std::errc::no_such_file_or_directory;
    return error(missing ? errc::not_found : errc::io, file.string() + ": " + failed.message());
  }
  if (size > most) return error(errc::too_large, file.string() + ": larger than 2 GiB");
  std::ifstream in(file, std::ios::binary);
  if (!in) return error(errc::io, file.string() + ": " + std::strerror(errno));
  std::vector<std::byte> image(size);
  in.read(reinterpret_cast<char*>(image.data()), static_cast<std::streamsize>(size));
  if (in.bad()) return error(errc::io, file.string() + ": " + std::strerror(errno));
  image.resize(static_cast<std::size_t>(in.gcount()));  // it may have become shorter
  return image;
}

}  // namespace

result<elf_image> read_elf(const std::filesystem::path& file) {
  auto image = read_image(file);
  if (!image) return image.error();
  return parse_elf(*image, file.string());
}

result<void> drop_search_paths(const std::filesystem::path& file) {
  auto image = read_image(file);
  if (!image) return image.error();
  const std::string name = file.string();
  auto kept = elf_reader(*image, name).without_search_paths();
  if (!kept) return kept.error();
  std::fstream out(file, std::ios::binary | std::ios::in | std::ios::out);
  out.seekp(static_cast<std::streamoff>(kept->first));
  out.write(reinterpret_cast<const char*>(kept->second.data()),
            static_cast<std::streamsize>(kept->second.size() * sizeof(Elf64_Dyn)));
  out.flush();
  if (!out) return error(errc::io, name + ": " + std::strerror(errno));
  return {};
}

std::string machine_name(std::uint16_t machine) {
  switch (machine) {
    case EM_X86_64: return "x86_64";
    case EM_AARCH64: return "aarch64";
    case EM_RISCV: return "riscv64";
    case EM_PPC64: return std::endian::native == std::endian::little ? "ppc64le" : "ppc64";
    case EM_S390: return "s390x";
    case EM_LOONGARCH: return "loongarch64";
    default: return "machine " + std::to_string(machine);
  }
}

}  // namespace troupe::internal
