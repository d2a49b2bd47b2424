#include <troupe/release.hpp>

#include <gtest/gtest.h>

#include "support/temp_dir.hpp"

namespace {

using troupe::errc;
using troupe::release::read_manifest;
using troupe::test::temp_dir;

TEST(ReleaseManifest, Whole) {
  temp_dir dir;
  auto file = dir.write("release.toml",
                        "[releases.exercise]\nversion = \"1.2.0-rc.1\"\nexecutable = \"../bin/exercise\"\n"
                        "node = \"exercise-1\"\nconfig = \"config\"\nenvironment = \"env.sh\"\n");
  auto got = read_manifest(file);
  ASSERT_TRUE(got) << got.error().text();
  EXPECT_EQ(got->name, "exercise");
  EXPECT_EQ(got->version, "1.2.0-rc.1");
  EXPECT_EQ(got->node, "exercise-1");
  EXPECT_EQ(got->executable, dir.path().parent_path() / "bin/exercise");
  EXPECT_EQ(got->config, dir / "config");
  EXPECT_EQ(got->environment, dir / "env.sh");
}

TEST(ReleaseManifest, AnEmptyTableIsARelease) {
  temp_dir dir;
  auto got = read_manifest(dir.write("release.toml", "[releases.small]\n"));
  ASSERT_TRUE(got) << got.error().text();
  EXPECT_EQ(got->name, "small");
  EXPECT_EQ(got->node, "small");
  EXPECT_TRUE(got->executable.empty());
  EXPECT_FALSE(got->config);
}

TEST(ReleaseManifest, OneOfSeveral) {
  temp_dir dir;
  std::string two = "[releases.one]\nnode = \"a\"\n[releases.two]\nnode = \"b\"\n";
  auto file = dir.write("two.toml", two);
  EXPECT_EQ(read_manifest(file, "two").or_exit().node, "b");
  auto which = read_manifest(file);
  ASSERT_FALSE(which);
  EXPECT_NE(which.error().text().find("which of its releases? It has one, two"), std::string::npos)
      << which.error().text();
  auto none = read_manifest(file, "three");
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error(), errc::not_found);
  EXPECT_NE(none.error().text().find("it has one, two"), std::string::npos);
  EXPECT_EQ(read_manifest(dir.write("default.toml", "default_release = \"two\"\n" + two)).or_exit().node, "b");
}

struct mistake {
  const char* text;
  const char* told;
};

TEST(ReleaseManifest, MistakesNameFileAndLine) {
  temp_dir dir;
  const mistake all[] = {
      {"", "describes no release"},
      {"[releases.x]\nversoin = \"1\"\n", "release.toml:2: releases.x.versoin: no such key"},
      {"[releases.x]\n\nversion = 1\n", "release.toml:3: releases.x.version: a text expected"},
      {"[releases.x]\nversion = \"../1\"\n", "release.toml:2: \"../1\" is no version"},
      {"[releases.x]\nversion = \"current\"\n", "release.toml:2: \"current\" is no version"},
      {"[releases.x]\nnode = \"a@b\"\n", "release.toml:2: \"a@b\" is no node's name"},
      {"[releases.x]\nnode = \"\"\n", "release.toml:2: releases.x.node: a text expected"},
      {"[releases.X]\nversion = \"1\"\n", "\"X\" is no name of a release"},
      {"[releases.x.deeper]\nversion = \"1\"\n", "release.toml:2: releases.x.deeper.version: no such key"},
      {"releases = 5\n", "release.toml:1: releases: no such key"},
      {"[releases]\nx = 5\n", "release.toml:2: releases.x: a release is a table"},
      {"[other]\nx = 5\n", "release.toml:2: other.x: no such key"},
      {"[releases.x\n", "release.toml:1: "},
  };
  for (const mistake& each : all) {
    auto got = read_manifest(dir.write("release.toml", each.text));
    ASSERT_FALSE(got) << each.text;
    EXPECT_EQ(got.error(), errc::bad_config);
    EXPECT_NE(got.error().text().find(each.told), std::string::npos) << each.text << "\n" << got.error().text();
  }
  EXPECT_EQ(read_manifest(dir / "none.toml").error(), errc::not_found);
}

}  // namespace
