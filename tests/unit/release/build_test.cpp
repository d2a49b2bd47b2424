#include <troupe/release.hpp>

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "elf_image.hpp"
#include "made_elf.hpp"
#include "support/program.hpp"
#include "support/temp_dir.hpp"

namespace {

namespace fs = std::filesystem;
using troupe::errc;
using troupe::release::build;
using troupe::release::build_options;
using troupe::release::built;
using troupe::release::manifest;
using troupe::test::elf_recipe;
using troupe::test::made_elf;
using troupe::test::read_file;
using troupe::test::temp_dir;

mode_t mode_of(const fs::path& file) {
  struct stat found{};
  return stat(file.c_str(), &found) == 0 ? found.st_mode & 07777 : 0;
}

// Executables that nothing could execute: assembling a release never does.
struct workshop {
  temp_dir dir;
  manifest what;
  build_options how;
  std::string said, warned;

  workshop() {
    what.name = "demo";
    what.version = "1.0";
    what.node = "demo";
    what.executable = put("made/demo", program({"libdemo.so.1", "libc.so.6"}));
    how.root = dir / "rel";
    how.tool = put("made/troupe", program({"libc.so.6"}));
    how.progress = [this](std::string_view line) { said += std::string(line) + "\n"; };
    how.warn = [this](std::string_view line) { warned += std::string(line) + "\n"; };
    elf_recipe library;
    library.versions = {"GLIBC_2.33"};
    put("libraries/libdemo.so.1.2", library);
    fs::create_symlink("libdemo.so.1.2", dir / "libraries/libdemo.so.1");
  }

  elf_recipe program(std::vector<std::string> needed) {
    elf_recipe out;
    out.interpreter = "/lib64/ld-linux-x86-64.so.2";
    out.needed = std::move(needed);
    out.rpath = "$ORIGIN/../lib:" + (dir / "libraries").string();
    out.versions = {"GLIBC_2.14"};
    return out;
  }
  fs::path put(const std::string& name, const elf_recipe& recipe) { return dir.write(name, made_elf(recipe).text()); }
  fs::path release(const std::string& name) { return dir / ("rel/" + name); }
  std::string refusal(errc code) {
    auto got = build(what, how);
    if (got) return "built";
    EXPECT_EQ(got.error(), code) << got.error().text();
    return got.error().text();
  }
};

TEST(ReleaseBuild, Layout) {
  workshop w;
  w.dir.write("config/config.toml", "[demo]\nx = 1\n");
  w.dir.write("config/notes.txt", "no");
  w.what.config = w.dir / "config";
  w.what.environment = w.dir.write("env.sh", "RELEASE_NODE=other\n");
  auto got = build(w.what, w.how);
  ASSERT_TRUE(got) << got.error().text();
  EXPECT_EQ(got->glibc, "2.33");
  EXPECT_EQ(got->libraries, 1u);
  EXPECT_EQ(got->script, w.release("bin/demo"));
  EXPECT_EQ(mode_of(w.release("bin/demo")), 0755u);
  EXPECT_EQ(mode_of(w.release("releases/1.0/exec/demo")), 0755u);
  EXPECT_EQ(mode_of(w.release("releases/1.0/exec/troupe")), 0755u);
  EXPECT_FALSE(fs::is_symlink(w.release("releases/1.0/lib/libdemo.so.1")));
  EXPECT_EQ(read_file(w.release("releases/1.0/config/config.toml")), "[demo]\nx = 1\n");
  EXPECT_FALSE(fs::exists(w.release("releases/1.0/config/notes.txt")));
  EXPECT_EQ(read_file(w.release("releases/1.0/env.sh")), "RELEASE_NODE=other\n");
  EXPECT_EQ(read_file(w.release("releases/current")), "demo 1.0\n");
  EXPECT_EQ(mode_of(w.release("releases/COOKIE")), 0600u);
  std::string cookie = read_file(w.release("releases/COOKIE"));
  EXPECT_EQ(cookie.size(), 53u);
  EXPECT_EQ(cookie.find_first_not_of("abcdefghijklmnopqrstuvwxyz234567"), 52u);
  std::string described = read_file(w.release("releases/1.0/manifest.toml"));
  EXPECT_NE(described.find("\narchitecture = \"x86_64\"\nglibc = \"2.33\"\n"), std::string::npos) << described;
  EXPECT_NE(described.find("name = \"libdemo.so.1\""), std::string::npos) << described;
  EXPECT_EQ(w.said.find(cookie.substr(0, 52)), std::string::npos);
}

TEST(ReleaseBuild, AVersionIsReplacedOnlyWhenAskedTo) {
  workshop w;
  ASSERT_TRUE(build(w.what, w.how));
  std::string cookie = read_file(w.release("releases/COOKIE"));
  EXPECT_NE(w.refusal(errc::already_started).find("--overwrite"), std::string::npos);
  w.dir.write("rel/releases/1.0/left-over", "x");
  w.how.overwrite = true;
  ASSERT_TRUE(build(w.what, w.how));
  EXPECT_FALSE(fs::exists(w.release("releases/1.0/left-over")));
  w.how.version = "1.1";
  w.how.overwrite = false;
  ASSERT_TRUE(build(w.what, w.how));
  EXPECT_TRUE(fs::exists(w.release("releases/1.0/exec/demo")));
  EXPECT_EQ(read_file(w.release("releases/current")), "demo 1.1\n");
  EXPECT_EQ(read_file(w.release("releases/COOKIE")), cookie);
  for (const auto& entry : fs::directory_iterator(w.release("releases"))) {
    EXPECT_NE(entry.path().filename().string()[0], '.') << entry.path();
  }
}

TEST(ReleaseBuild, FailureLeavesWhatWasThere) {
  workshop w;
  ASSERT_TRUE(build(w.what, w.how));
  w.dir.write("config/config.toml", "[demo\n");
  w.what.config = w.dir / "config";
  w.how.overwrite = true;
  EXPECT_NE(w.refusal(errc::bad_config).find("config.toml:1:"), std::string::npos);
  EXPECT_TRUE(fs::exists(w.release("releases/1.0/exec/demo")));
  std::size_t entries = 0;
  for (const auto& entry : fs::directory_iterator(w.release("releases"))) entries += entry.exists();
  EXPECT_EQ(entries, 3u) << "1.0, COOKIE, current";
}

// A node that is started, or a build that is killed, at any moment of it finds one or the other.
TEST(ReleaseBuild, AReplacedVersionIsThereAtEveryMoment) {
  workshop w;
  w.how.progress = nullptr;
  w.how.overwrite = true;
  ASSERT_TRUE(build(w.what, w.how));
  const std::string watched = w.release("releases/1.0/manifest.toml").string();
  std::atomic<bool> done{false};
  std::atomic<int> looks{0}, missing{0};
  std::thread looker([&] {
    while (!done.load()) {
      if (access(watched.c_str(), R_OK) != 0) ++missing;
      ++looks;
    }
  });
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(build(w.what, w.how));
  done = true;
  looker.join();
  EXPECT_GT(looks, 1000);
  EXPECT_EQ(missing, 0) << "of " << looks;
}

TEST(ReleaseBuild, AFolderHoldsOneRelease) {
  workshop w;
  ASSERT_TRUE(build(w.what, w.how));
  w.what.name = "other";
  w.how.version = "2.0";
  std::string why = w.refusal(errc::name_taken);
  EXPECT_NE(why.find("holds the release demo"), std::string::npos) << why;
  EXPECT_FALSE(fs::exists(w.release("bin/other")));
  EXPECT_EQ(read_file(w.release("releases/current")), "demo 1.0\n");
}

TEST(ReleaseBuild, WhichVersion) {
  workshop w;
  w.how.default_version = "0.5";
  EXPECT_EQ(build(w.what, w.how).value().version, "1.0");
  w.what.version = "";
  EXPECT_EQ(build(w.what, w.how).value().version, "0.5");
  w.how.version = "2.0";
  EXPECT_EQ(build(w.what, w.how).value().version, "2.0");
}

TEST(ReleaseBuild, SaysWhatItWasMadeOf) {
  workshop w;
  w.what.file = w.dir / "release.toml";
  w.what.config = w.dir.write("config/config.toml", "[demo]\nx = 1\n").parent_path();
  w.what.environment = w.dir.write("env.sh", "");
  std::vector<fs::path> inputs = build(w.what, w.how).value().inputs;
  for (const char* each : {"release.toml", "made/demo", "made/troupe", "libraries/libdemo.so.1.2", "config",
                           "config/config.toml", "env.sh"}) {
    EXPECT_NE(std::find(inputs.begin(), inputs.end(), w.dir / each), inputs.end()) << each;
  }
  EXPECT_EQ(inputs.size(), 7u);
}

TEST(ReleaseBuild, TwoAtOnceKeepOneCookieAndOneVersion) {
  workshop w;
  w.how.progress = nullptr;
  int done[2] = {};
  auto run = [&](int which) {
    build_options how = w.how;
    how.version = which == 0 ? "1.0" : "2.0";
    done[which] = build(w.what, how).has_value();
  };
  std::thread other(run, 1);
  run(0);
  other.join();
  EXPECT_EQ(done[0] + done[1], 2);
  EXPECT_EQ(read_file(w.release("releases/COOKIE")).size(), 53u);
}

TEST(ReleaseBuild, HowItIsLinkedMatters) {
  workshop w;
  elf_recipe wrong = w.program({});
  wrong.runpath = std::exchange(wrong.rpath, "");
  w.what.executable = w.put("made/runpath", wrong);
  EXPECT_NE(w.refusal(errc::bad_message).find("DT_RUNPATH"), std::string::npos);
  wrong.runpath.clear();
  w.what.executable = w.put("made/nothing", wrong);
  EXPECT_NE(w.refusal(errc::bad_message).find("has no DT_RPATH"), std::string::npos);
  wrong.rpath = "/opt/lib:$ORIGIN/../lib";
  w.what.executable = w.put("made/late", wrong);
  EXPECT_NE(w.refusal(errc::bad_message).find("begins with /opt/lib"), std::string::npos);
  wrong.rpath = "$ORIGIN/../lib:";
  w.what.executable = w.put("made/here", wrong);
  EXPECT_NE(w.refusal(errc::bad_message).find("an empty entry"), std::string::npos);
  w.what.executable = w.dir.write("made/script", "#!/bin/sh\n");
  EXPECT_NE(w.refusal(errc::bad_message).find("not an ELF file"), std::string::npos);
  w.what.executable = w.dir / "made/gone";
  EXPECT_NE(w.refusal(errc::not_found).find("made/gone"), std::string::npos);
  EXPECT_FALSE(fs::exists(w.dir / "rel")) << "nothing is made before it is known to be good";
}

// The loader asks a library's own RUNPATH and nobody else for what it needs: on the target it would find nothing there.
TEST(ReleaseBuild, ALibrarysOwnSearchPathStaysBehind) {
  for (const bool old : {false, true}) {
    workshop w;
    elf_recipe library;
    library.soname = "libdemo.so.1";
    library.needed = {"libneighbour.so.2", "libc.so.6"};
    library.versions = {"GLIBC_2.33"};
    (old ? library.rpath : library.runpath) = (w.dir / "private").string();
    w.put("libraries/libdemo.so.1.2", library);
    w.put("private/libneighbour.so.2", {});
    w.how.progress = nullptr;  // as with --quiet
    ASSERT_TRUE(build(w.what, w.how));
    auto copy = troupe::internal::read_elf(w.release("releases/1.0/lib/libdemo.so.1"));
    ASSERT_TRUE(copy) << copy.error().text();
    EXPECT_TRUE(copy->runpath.empty());
    EXPECT_TRUE(copy->rpath.empty());
    EXPECT_EQ(copy->needed, library.needed);
    EXPECT_EQ(copy->soname, library.soname);
    EXPECT_EQ(copy->glibc, (troupe::internal::glibc_version{2, 33}));
    EXPECT_TRUE(fs::exists(w.release("releases/1.0/lib/libneighbour.so.2")));
    EXPECT_NE(w.warned.find("libdemo.so.1 looks for libraries in " + (w.dir / "private").string()), std::string::npos)
        << w.warned;
  }
}

TEST(ReleaseBuild, MissingLibrary) {
  workshop w;
  fs::remove(w.dir / "libraries/libdemo.so.1");
  EXPECT_NE(w.refusal(errc::not_found).find("libdemo.so.1, which demo needs"), std::string::npos);
}

TEST(ReleaseBuild, VersionsThatArePathsAreRefused) {
  workshop w;
  for (const char* version : {"..", "../x", "a/b", "current", "COOKIE", ".hidden", "a b"}) {
    w.how.version = version;
    EXPECT_NE(w.refusal(errc::bad_config).find("is no version"), std::string::npos) << version;
  }
  w.how.version.clear();
  w.what.version.clear();
  EXPECT_NE(w.refusal(errc::bad_config).find("no version"), std::string::npos);
}

// What bin/NAME can say without the program.
TEST(ReleaseLauncher, SaysVersionUsageAndWhyNot) {
  workshop w;
  ASSERT_TRUE(build(w.what, w.how));
  auto run = [&](std::vector<std::string> words, troupe::test::program_options with = {}) {
    words.insert(words.begin(), w.release("bin/demo").string());
    return troupe::test::run_program(words, with);
  };
  auto version = run({"version"});
  EXPECT_EQ(version.exit_code, 0) << version.err;
  EXPECT_EQ(version.out, "demo 1.0\n");
  for (auto words : {std::vector<std::string>{}, std::vector<std::string>{"fly"}}) {
    auto got = run(words);
    EXPECT_EQ(got.exit_code, 2);
    EXPECT_EQ(got.out, "");
    EXPECT_NE(got.err.find("usage: demo COMMAND"), std::string::npos);
  }
  EXPECT_EQ(run({"help"}).exit_code, 0);
  auto absent = run({"version"}, {.environment = {{"RELEASE_VSN", "9"}}});
  EXPECT_EQ(absent.exit_code, 1);
  EXPECT_NE(absent.err.find("version 9 is not installed; installed: 1.0"), std::string::npos) << absent.err;
  auto path = run({"version"}, {.environment = {{"RELEASE_VSN", "../x"}}});
  EXPECT_EQ(path.exit_code, 1);
  EXPECT_NE(path.err.find("is no version"), std::string::npos) << path.err;
  auto node = run({"ping"}, {.environment = {{"RELEASE_NODE", "a b"}}});
  EXPECT_EQ(node.exit_code, 1);
  EXPECT_NE(node.err.find("NAME or NAME@HOST"), std::string::npos) << node.err;
  auto mode = run({"ping"}, {.environment = {{"RELEASE_DISTRIBUTION", "name"}}});
  EXPECT_EQ(mode.exit_code, 1);
  EXPECT_NE(mode.err.find("it must be on or none"), std::string::npos) << mode.err;
}

TEST(ReleaseLauncher, RefusesAnotherMachineAndAnOlderGlibc) {
  workshop w;
  ASSERT_TRUE(build(w.what, w.how));
  fs::path described = w.release("releases/1.0/manifest.toml");
  std::string text = read_file(described);
  auto with = [&](const std::string& from, const std::string& to) {
    std::string changed = text;
    changed.replace(changed.find(from), from.size(), to);
    w.dir.write("rel/releases/1.0/manifest.toml", changed);
    return troupe::test::run_program({w.release("bin/demo").string(), "start"});
  };
  auto machine = with("x86_64", "s390x");
  EXPECT_EQ(machine.exit_code, 1);
  EXPECT_NE(machine.err.find("this release is for s390x"), std::string::npos) << machine.err;
  auto glibc = with("glibc = \"2.33\"", "glibc = \"2.999\"");
  EXPECT_EQ(glibc.exit_code, 1);
  EXPECT_NE(glibc.err.find("needs glibc 2.999 or newer, and this system has"), std::string::npos) << glibc.err;
}

// env.sh is its author's: what it does to its own shell options, arguments and exit codes is no failure of the command.
TEST(ReleaseLauncher, TakesEnvironmentScriptsAsTheyAre) {
  for (const char* text : {"[ -f /nonexistent ] && . /nonexistent\n", "X=$(false)\n", "X=$NOT_SET_ANYWHERE\n", "false",
                           "set -- a b c\n", "IFS=:\nset -f\n", "set -eu\ntrue\n", ""}) {
    workshop w;
    w.what.environment = w.dir.write("env.sh", text);
    ASSERT_TRUE(build(w.what, w.how));
    auto got = troupe::test::run_program({w.release("bin/demo").string(), "version"});
    EXPECT_EQ(got.exit_code, 0) << text << got.err;
    EXPECT_EQ(got.out, "demo 1.0\n") << text;
    EXPECT_EQ(got.err, "") << text;
  }
}

TEST(ReleaseLauncher, NamesLineEndsOfDos) {
  workshop w;
  w.what.environment = w.dir.write("env.sh", "A=1\r\nB=2\r\n");
  ASSERT_TRUE(build(w.what, w.how));
  const auto refused = [&](const std::string& where, std::map<std::string, std::optional<std::string>> variables = {}) {
    auto got = troupe::test::run_program({w.release("bin/demo").string(), "version"}, {.environment = variables});
    EXPECT_EQ(got.exit_code, 1) << where;
    EXPECT_NE(got.err.find(where + " has a line end of DOS (CR)"), std::string::npos) << got.err;
    EXPECT_EQ(got.err.find('\r'), std::string::npos) << got.err;
  };
  refused("env.sh");
  fs::remove(w.release("releases/1.0/env.sh"));
  refused("RELEASE_NODE", {{"RELEASE_NODE", "demo\r"}});
  refused("RELEASE_VSN", {{"RELEASE_VSN", "1.0\r"}});
  w.dir.write("rel/releases/current", "demo 1.0\r\n");
  refused("current");
}

// A host that cannot say what it is may be good enough.
TEST(ReleaseLauncher, AFailingUnameOrGetconfIsNoReason) {
  workshop w;
  ASSERT_TRUE(build(w.what, w.how));
  w.dir.write("rel/releases/1.0/exec/demo", "#!/bin/sh\necho started\n");
  for (const char* broken : {"#!/bin/sh\nexit 1\n", "#!/bin/sh\necho 'cannot say'\nexit 3\n"}) {
    for (const char* name : {"uname", "getconf"}) {
      if (std::string_view(name) == "uname" && std::string_view(broken).find("say") != std::string_view::npos) continue;
      fs::remove_all(w.dir / "tools");
      w.dir.write(std::string("tools/") + name, broken);
      fs::permissions(w.dir / "tools" / name, fs::perms(0755));
      const std::string path = (w.dir / "tools").string() + ":" + std::getenv("PATH");
      auto got =
          troupe::test::run_program({w.release("bin/demo").string(), "start"}, {.environment = {{"PATH", path}}});
      EXPECT_EQ(got.exit_code, 0) << name << got.err;
      EXPECT_EQ(got.out, "started\n") << name;
      EXPECT_EQ(got.err, "") << name;
    }
  }
}

// Where a node of another host is, its tools read where its program does; for one of this host nothing is read.
TEST(ReleaseLauncher, ToolsOfAnotherHostsNodeAreGivenTheConfiguration) {
  workshop w;
  w.dir.write("config/config.toml", "[node]\npeers = []\n");
  w.what.config = w.dir / "config";
  ASSERT_TRUE(build(w.what, w.how));
  w.dir.write("rel/releases/1.0/exec/troupe", "#!/bin/sh\necho \"${TROUPE_ENV:-}: $*\"\n");
  const auto told = [&](const std::string& node, std::vector<std::string> words) {
    words.insert(words.begin(), w.release("bin/demo").string());
    auto got =
        troupe::test::run_program(words, {.environment = {{"RELEASE_NODE", node}, {"TROUPE_ENV", std::nullopt}}});
    EXPECT_EQ(got.exit_code, 0) << got.err;
    return got.out;
  };
  const std::string file = fs::canonical(w.release("releases/1.0/config/config.toml")).string();
  EXPECT_EQ(told("demo", {"ping", "--json"}), ": ping demo --json\n");
  EXPECT_EQ(told("demo@localhost", {"stop"}), ": stop demo@localhost\n");
  EXPECT_EQ(told("demo@hostb", {"ping", "--peer", "demo@hostb=tcp://hostb:4370"}),
            "prod: ping demo@hostb --config " + file + " --peer demo@hostb=tcp://hostb:4370\n");
  EXPECT_EQ(told("demo@hostb", {"config", "log.level"}), "prod: config demo@hostb --config " + file + " log.level\n");
  fs::remove(file);
  EXPECT_EQ(told("demo@hostb", {"ping"}), "prod: ping demo@hostb\n");
}

}  // namespace
