#include "elf_image.hpp"

#include <gtest/gtest.h>

#include <random>

#include "made_elf.hpp"
#include "support/temp_dir.hpp"

namespace {

using namespace troupe::internal;
using troupe::errc;
using troupe::test::elf_recipe;
using troupe::test::made_elf;
using words = std::vector<std::string>;

elf_recipe everything() {
  elf_recipe out;
  out.interpreter = "/lib64/ld-linux-x86-64.so.2";
  out.soname = "libself.so.1";
  out.needed = {"libone.so.1", "libc.so.6"};
  out.rpath = "$ORIGIN/../lib:/opt/lib";
  out.versions = {"GLIBC_2.4", "GLIBC_2.34", "GLIBC_2.2.5", "GLIBC_PRIVATE", "OTHER_9.9"};
  return out;
}

template <class T>
std::vector<std::byte> patched(const made_elf& file, std::size_t at, T number) {
  std::vector<std::byte> out(file.bytes().begin(), file.bytes().end());
  std::memcpy(out.data() + at, &number, sizeof number);
  return out;
}

std::string refusal(std::span<const std::byte> image) {
  auto got = parse_elf(image, "x");
  if (got) return "accepted";
  EXPECT_EQ(got.error(), errc::bad_message);
  return got.error().text();
}

TEST(ElfImage, ReadsWhatTheLoaderReads) {
  made_elf file(everything());
  auto got = parse_elf(file.bytes(), "x");
  ASSERT_TRUE(got) << got.error().text();
  EXPECT_EQ(got->interpreter, "/lib64/ld-linux-x86-64.so.2");
  EXPECT_EQ(got->soname, "libself.so.1");
  EXPECT_EQ(got->needed, (words{"libone.so.1", "libc.so.6"}));
  EXPECT_EQ(got->rpath, (words{"$ORIGIN/../lib", "/opt/lib"}));
  EXPECT_TRUE(got->runpath.empty());
  EXPECT_EQ(to_string(got->glibc), "2.34");
}

TEST(ElfImage, RunpathIsNotRpath) {
  elf_recipe recipe;
  recipe.runpath = "/a::/b";
  auto got = parse_elf(made_elf(recipe).bytes(), "x");
  ASSERT_TRUE(got) << got.error().text();
  EXPECT_TRUE(got->rpath.empty());
  EXPECT_EQ(got->runpath, (words{"/a", "", "/b"}));
}

TEST(ElfImage, PackedRelocationsNeedGlibc236) {
  elf_recipe recipe;
  recipe.versions = {"GLIBC_2.34", "GLIBC_ABI_DT_RELR"};
  EXPECT_EQ(to_string(parse_elf(made_elf(recipe).bytes(), "x").or_exit().glibc), "2.36");
}

TEST(ElfImage, ReadsThisTestAndItsLibraryC) {
  auto self = read_elf("/proc/self/exe");
  ASSERT_TRUE(self) << self.error().text();
  EXPECT_NE(std::find(self->needed.begin(), self->needed.end(), "libc.so.6"), self->needed.end());
  EXPECT_FALSE(self->interpreter.empty());
  EXPECT_GE(self->glibc, (glibc_version{2, 2}));
}

TEST(ElfImage, OtherFilesAreRefused) {
  troupe::test::temp_dir dir;
  EXPECT_EQ(read_elf(dir / "none").error(), errc::not_found);
  EXPECT_EQ(read_elf(dir.path()).error(), errc::io);
  EXPECT_NE(read_elf(dir.write("empty", "")).error().text().find("not an ELF file"), std::string::npos);
  EXPECT_NE(read_elf(dir.write("script", "#!/bin/sh\nexit 0\n")).error().text().find("not an ELF file"),
            std::string::npos);
  made_elf file(everything());
  EXPECT_NE(refusal(patched(file, EI_CLASS, std::uint8_t(ELFCLASS32))).find("64-bit"), std::string::npos);
  EXPECT_NE(refusal(patched(file, EI_DATA, std::uint8_t(ELFDATA2MSB))).find("byte order"), std::string::npos);
  EXPECT_NE(refusal(patched(file, offsetof(Elf64_Ehdr, e_type), std::uint16_t(ET_REL))).find("neither"),
            std::string::npos);
}

TEST(ElfImage, EveryTruncationIsAnErrorOrLessToRead) {
  made_elf file(everything());
  for (std::size_t size = 0; size < file.bytes().size(); ++size) {
    auto got = parse_elf(file.bytes().first(size), "x");
    EXPECT_FALSE(got) << size;
  }
}

TEST(ElfImage, OffsetsOutOfTheFile) {
  made_elf file(everything());
  constexpr std::uint64_t huge = ~std::uint64_t(0) - 8;
  std::size_t dynamic_header = sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr);
  EXPECT_NE(refusal(patched(file, offsetof(Elf64_Ehdr, e_phoff), huge)), "accepted");
  EXPECT_NE(refusal(patched(file, offsetof(Elf64_Ehdr, e_phnum), std::uint16_t(0xffff))), "accepted");
  EXPECT_NE(refusal(patched(file, offsetof(Elf64_Ehdr, e_phentsize), std::uint16_t(1))), "accepted");
  EXPECT_NE(refusal(patched(file, dynamic_header + offsetof(Elf64_Phdr, p_offset), huge)), "accepted");
  EXPECT_NE(refusal(patched(file, file.dynamic_at + 8, huge)), "accepted") << "DT_NEEDED";
  EXPECT_NE(refusal(patched(file, sizeof(Elf64_Ehdr) + 2 * sizeof(Elf64_Phdr) + offsetof(Elf64_Phdr, p_offset), huge)),
            "accepted")
      << "PT_INTERP";
}

TEST(ElfImage, VersionChainThatNeverEnds) {
  elf_recipe recipe = everything();
  made_elf file(recipe);
  // The first library of the chain says that the next lies at an offset which leads nowhere, and that there are many.
  auto image = patched(file, file.versions_at + offsetof(Elf64_Verneed, vn_next), std::uint32_t(0x7fffffff));
  for (std::size_t at = file.dynamic_at; at + sizeof(Elf64_Dyn) <= image.size(); at += sizeof(Elf64_Dyn)) {
    Elf64_Dyn tag{};
    std::memcpy(&tag, image.data() + at, sizeof tag);
    if (tag.d_tag != DT_VERNEEDNUM) continue;
    tag.d_un.d_val = ~std::uint64_t(0);
    std::memcpy(image.data() + at, &tag, sizeof tag);
  }
  EXPECT_NE(refusal(image), "accepted");
}

TEST(ElfImage, NoisyFilesNeverHurt) {
  made_elf file(everything());
  std::mt19937 random(20260101);
  for (int round = 0; round < 20000; ++round) {
    std::vector<std::byte> image(file.bytes().begin(), file.bytes().end());
    for (int i = 0; i < 1 + round % 8; ++i) image[random() % image.size()] = std::byte(random() % 256);
    auto got = parse_elf(image, "x");
    if (got) {
      EXPECT_LT(got->needed.size(), image.size());
    }
  }
}

}  // namespace
