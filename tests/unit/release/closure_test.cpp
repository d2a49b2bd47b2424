#include "closure.hpp"

#include <gtest/gtest.h>

#include "made_elf.hpp"
#include "support/temp_dir.hpp"

namespace {

using namespace troupe::internal;
using troupe::errc;
using troupe::test::elf_recipe;
using troupe::test::made_elf;
using troupe::test::temp_dir;

struct files {
  temp_dir dir;
  library_places places;

  files() { places.standard = {dir / "system"}; }
  std::filesystem::path put(const std::string& name, elf_recipe recipe) {
    return dir.write(name, made_elf(recipe).text());
  }
  static elf_recipe needing(std::vector<std::string> names) {
    elf_recipe out;
    out.needed = std::move(names);
    return out;
  }
  std::string names_of(const closure& found) {
    std::string out;
    for (const library& each : found.libraries) out += each.name + " ";
    return out;
  }
};

TEST(Closure, FollowsLibrariesOfLibrariesWithoutGlibc) {
  files f;
  auto program = f.put("bin/program", f.needing({"libb.so.1", "libc.so.6", "libm.so.6"}));
  f.put("system/libb.so.1", f.needing({"liba.so.2", "ld-linux-x86-64.so.2", "libc.so.6"}));
  f.put("system/liba.so.2", f.needing({"libb.so.1"}));  // a circle
  auto got = find_closure({program}, f.places);
  ASSERT_TRUE(got) << got.error().text();
  EXPECT_EQ(f.names_of(*got), "liba.so.2 libb.so.1 ");
  EXPECT_EQ(got->libraries[0].needed_by, "libb.so.1");
}

TEST(Closure, GreatestGlibcOfAllCounts) {
  files f;
  elf_recipe program = f.needing({"liba.so.1"});
  program.versions = {"GLIBC_2.17"};
  elf_recipe library;
  library.versions = {"GLIBC_2.3.4", "GLIBC_2.35"};
  f.put("system/liba.so.1", library);
  EXPECT_EQ(to_string(find_closure({f.put("bin/program", program)}, f.places).or_exit().glibc), "2.35");
}

TEST(Closure, MissingLibraryNamesWhoNeedsIt) {
  files f;
  auto program = f.put("bin/program", f.needing({"libb.so.1"}));
  f.put("system/libb.so.1", f.needing({"libgone.so.7"}));
  auto got = find_closure({program}, f.places);
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error(), errc::not_found);
  EXPECT_NE(got.error().text().find("libgone.so.7, which libb.so.1 needs"), std::string::npos) << got.error().text();
  EXPECT_NE(got.error().text().find("system"), std::string::npos);
}

TEST(Closure, RpathIsInheritedRunpathIsNot) {
  files f;
  elf_recipe program = f.needing({"libb.so.1"});
  program.rpath = "$ORIGIN/../lib";
  f.put("lib/libb.so.1", f.needing({"liba.so.1"}));
  f.put("lib/liba.so.1", {});
  EXPECT_TRUE(find_closure({f.put("bin/program", program)}, f.places));
  program.rpath.clear();
  program.runpath = "${ORIGIN}/../lib";
  auto got = find_closure({f.put("bin/program", program)}, f.places);
  ASSERT_FALSE(got);
  EXPECT_NE(got.error().text().find("liba.so.1, which libb.so.1 needs"), std::string::npos) << got.error().text();
}

TEST(Closure, OrderOfPlaces) {
  files f;
  f.places.search_path = {f.dir / "path"};
  elf_recipe program = f.needing({"liba.so.1"});
  auto where = [&] {
    return find_closure({f.put("bin/program", program)}, f.places).or_exit().libraries[0].file.parent_path().filename();
  };
  f.put("system/liba.so.1", {});
  EXPECT_EQ(where(), "system");
  f.places.cache["liba.so.1"] = {(f.dir / "gone/liba.so.1").string(), f.put("cached/liba.so.1", {}).string()};
  EXPECT_EQ(where(), "cached");
  program.runpath = (f.dir / "run").string();
  f.put("run/liba.so.1", {});
  EXPECT_EQ(where(), "run");
  f.put("path/liba.so.1", {});
  EXPECT_EQ(where(), "path");
  program.rpath = std::exchange(program.runpath, "");
  EXPECT_EQ(where(), "run");
}

TEST(Closure, FilesOfAnotherMachineArePassedOver) {
  files f;
  f.places.search_path = {f.dir / "other"};
  elf_recipe foreign;
  foreign.machine = EM_S390;
  f.put("other/liba.so.1", foreign);
  f.put("system/liba.so.1", {});
  auto got = find_closure({f.put("bin/program", f.needing({"liba.so.1"}))}, f.places);
  ASSERT_TRUE(got) << got.error().text();
  EXPECT_EQ(got->libraries[0].file.parent_path().filename(), "system");
  EXPECT_EQ(find_closure({f.dir / "bin/program", f.dir / "other/liba.so.1"}, f.places).error(), errc::bad_message);
}

TEST(Closure, TwoExecutablesMustAgree) {
  files f;
  elf_recipe one = f.needing({"liba.so.1"});
  elf_recipe two = one;
  one.rpath = "$ORIGIN/../one";
  two.rpath = "$ORIGIN/../two";
  f.put("one/liba.so.1", {});
  f.put("two/liba.so.1", {});
  auto got = find_closure({f.put("bin/first", one), f.put("bin/second", two)}, f.places);
  ASSERT_FALSE(got);
  EXPECT_NE(got.error().text().find("but second uses"), std::string::npos) << got.error().text();
}

TEST(Closure, NeededByPathAndRunpathOfALibrary) {
  files f;
  auto got = find_closure({f.put("bin/program", f.needing({"/opt/liba.so"}))}, f.places);
  ASSERT_FALSE(got);
  EXPECT_NE(got.error().text().find("by its path"), std::string::npos);
  elf_recipe library = f.needing({"libb.so.1"});
  library.runpath = "/usr/lib/private";
  f.put("system/liba.so.1", library);
  f.put("system/libb.so.1", {});
  auto warned = find_closure({f.put("bin/program", f.needing({"liba.so.1"}))}, f.places);
  ASSERT_TRUE(warned) << warned.error().text();
  ASSERT_EQ(warned->warnings.size(), 1u);
  EXPECT_NE(warned->warnings[0].find("liba.so.1 looks for libraries in "), std::string::npos);
}

TEST(Closure, LoaderCacheOfThisSystem) {
  if (!std::filesystem::exists("/etc/ld.so.cache")) GTEST_SKIP() << "no /etc/ld.so.cache here";
  auto cache = read_loader_cache("/etc/ld.so.cache");
  ASSERT_TRUE(cache.contains("libc.so.6"));
  EXPECT_TRUE(std::filesystem::exists(cache["libc.so.6"].front()));
}

TEST(Closure, LoaderCacheThatIsNone) {
  temp_dir dir;
  std::string text = "glibc-ld.so.cache1.1";
  EXPECT_TRUE(read_loader_cache(dir / "none").empty());
  EXPECT_TRUE(read_loader_cache(dir.write("short", text)).empty());
  EXPECT_TRUE(read_loader_cache(dir.write("other", std::string(4096, 'x'))).empty());
  text += std::string("\xff\xff\xff\xff", 4) + std::string(24, '\0') + std::string(240, '\x7f');
  EXPECT_NO_THROW(read_loader_cache(dir.write("hostile", text)));
}

TEST(Closure, OfThisTest) {
  auto got = find_closure({"/proc/self/exe"}, library_places::of_this_system());
  ASSERT_TRUE(got) << got.error().text();
  std::string all;
  for (const library& each : got->libraries) all += each.name + " ";
  EXPECT_NE(all.find("libstdc++.so.6"), std::string::npos) << all;
  EXPECT_EQ(all.find("libc.so.6"), std::string::npos) << all;
}

}  // namespace
