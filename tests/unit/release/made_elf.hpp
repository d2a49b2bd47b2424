#pragma once
// ELF files made by hand: as the loader would read them, with nothing in them to run.
#include <elf.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace troupe::test {

struct elf_recipe {
  std::string interpreter;
  std::string soname;
  std::vector<std::string> needed;
  std::string rpath, runpath;
  std::vector<std::string> versions;  // of libc.so.6
  std::uint16_t machine =
#ifdef __aarch64__
      EM_AARCH64;
#else
      EM_X86_64;
#endif
};

class made_elf {
 public:
  explicit made_elf(const elf_recipe& recipe) {
    bytes_.resize(sizeof(Elf64_Ehdr) + 3 * sizeof(Elf64_Phdr));
    Elf64_Phdr interpreter{}, dynamic{}, load{};
    if (!recipe.interpreter.empty()) interpreter = text_segment(recipe.interpreter);
    strings_.assign(1, '\0');
    std::vector<Elf64_Dyn> tags;
    auto add = [&](std::int64_t tag, std::uint64_t number) { tags.push_back({tag, {number}}); };
    for (const std::string& name : recipe.needed) add(DT_NEEDED, string(name));
    if (!recipe.soname.empty()) add(DT_SONAME, string(recipe.soname));
    if (!recipe.rpath.empty()) add(DT_RPATH, string(recipe.rpath));
    if (!recipe.runpath.empty()) add(DT_RUNPATH, string(recipe.runpath));
    if (!recipe.versions.empty()) {
      add(DT_VERNEED, put_versions(recipe.versions));
      add(DT_VERNEEDNUM, 1);
    }
    strings_at = bytes_.size();
    append(strings_.data(), strings_.size());
    add(DT_STRTAB, strings_at);
    add(DT_STRSZ, strings_.size());
    add(DT_NULL, 0);
    dynamic_at = bytes_.size();
    append(tags.data(), tags.size() * sizeof(Elf64_Dyn));
    dynamic.p_type = PT_DYNAMIC;
    dynamic.p_offset = dynamic.p_vaddr = dynamic_at;
    dynamic.p_filesz = tags.size() * sizeof(Elf64_Dyn);
    load.p_type = PT_LOAD;
    load.p_filesz = bytes_.size();
    put_header(recipe.machine);
    Elf64_Phdr all[3] = {load, dynamic, interpreter};
    std::memcpy(bytes_.data() + sizeof(Elf64_Ehdr), all, sizeof all);
  }

  std::span<const std::byte> bytes() const { return bytes_; }
  std::string_view text() const { return {reinterpret_cast<const char*>(bytes_.data()), bytes_.size()}; }

  std::size_t strings_at = 0, dynamic_at = 0, versions_at = 0;

 private:
  void append(const void* from, std::size_t size) {
    std::size_t at = bytes_.size();
    bytes_.resize(at + size);
    std::memcpy(bytes_.data() + at, from, size);
  }

  std::uint64_t string(const std::string& text) {
    std::uint64_t at = strings_.size();
    strings_ += text;
    strings_ += '\0';
    return at;
  }

  Elf64_Phdr text_segment(const std::string& text) {
    Elf64_Phdr out{};
    out.p_type = PT_INTERP;
    out.p_offset = bytes_.size();
    out.p_filesz = text.size() + 1;
    append(text.c_str(), text.size() + 1);
    return out;
  }

  std::uint64_t put_versions(const std::vector<std::string>& names) {
    versions_at = bytes_.size();
    Elf64_Verneed library{1, static_cast<Elf64_Half>(names.size()), static_cast<Elf64_Word>(string("libc.so.6")),
                          sizeof(Elf64_Verneed), 0};
    append(&library, sizeof library);
    for (std::size_t i = 0; i < names.size(); ++i) {
      Elf64_Vernaux need{};
      need.vna_name = static_cast<Elf64_Word>(string(names[i]));
      need.vna_next = i + 1 < names.size() ? sizeof need : 0;
      append(&need, sizeof need);
    }
    return versions_at;
  }

  void put_header(std::uint16_t machine) {
    Elf64_Ehdr header{};
    std::memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    header.e_type = ET_DYN;
    header.e_machine = machine;
    header.e_phoff = sizeof header;
    header.e_phentsize = sizeof(Elf64_Phdr);
    header.e_phnum = 3;
    std::memcpy(bytes_.data(), &header, sizeof header);
  }

  std::vector<std::byte> bytes_;
  std::string strings_;
};

}  // namespace troupe::test
