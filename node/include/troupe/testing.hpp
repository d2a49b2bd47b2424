#pragma once
// GoogleTest with the tags of ExUnit, and real nodes for a test (peer.hpp).
//     TROUPE_TEST(Chat, ReachesBob, "distributed") { … }                  // TEST with tags
//     TROUPE_TEST_F(Chat, ReachesAll, "distributed", "people=100") { … }  // TEST_F; a tag may have a value
//     int main(int argc, char** argv) { return troupe::testing::run(argc, argv); }
//
// As in ExUnit: a test with an excluded tag is not run, unless one of its tags is included. `distributed` is excluded
// when the runner is no node. How many were left out, and for which tag, is printed last. Beside GoogleTest's own
// options:
//     --include TAG, --exclude TAG    a word, or word=value; each may be repeated
//     --only TAG                      nothing else
//     --name NAME                     the runner is a node of that name: troupe::testing::this_node()
//     --list-tags                     "Suite.Name tag tag …" for each test, and no more
//     --skipped-exit CODE             what run() returns when no test ran, all being excluded, disabled or skipped
// TROUPE_TEST_INCLUDE in the environment is one more --include, TAG,TAG…: for whoever runs tests by CTest.
// --only with a tag that no test has is an error. In CMake `troupe_discover_tests(TARGET)` makes each test a test of
// CTest with its tags as labels; one that is excluded, disabled or skipped counts as skipped;
// `TROUPE_TEST_INCLUDE=distributed ctest -L distributed` runs those.
//
// The only header of Troupe that includes GoogleTest. Whoever includes it links that.
#include <fnmatch.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include <troupe/peer.hpp>

#define TROUPE_TEST(suite, name, ...)                                        \
  [[maybe_unused]] static const bool troupe_tags_of_##suite##_##name =       \
      ::troupe::testing::detail::note_tags(#suite "." #name, {__VA_ARGS__}); \
  TEST(suite, name)
#define TROUPE_TEST_F(suite, name, ...)                                      \
  [[maybe_unused]] static const bool troupe_tags_of_##suite##_##name =       \
      ::troupe::testing::detail::note_tags(#suite "." #name, {__VA_ARGS__}); \
  TEST_F(suite, name)

namespace troupe::testing {

namespace detail {

using tag_list = std::vector<std::string>;

inline std::map<std::string, tag_list, std::less<>>& tags_of_tests() {
  static std::map<std::string, tag_list, std::less<>> all;
  return all;
}
inline bool note_tags(std::string_view test, tag_list tags) {
  tags_of_tests()[std::string(test)] = std::move(tags);
  return true;
}
inline std::unique_ptr<node>& runner() {
  static std::unique_ptr<node> here;
  return here;
}

// "people" is any "people=…"; "people=100" that alone.
inline bool tag_fits(std::string_view wanted, std::string_view tag) {
  return tag == wanted || (tag.starts_with(wanted) && tag.size() > wanted.size() && tag[wanted.size()] == '=');
}
inline bool any_fits(const tag_list& wanted, const tag_list& tags, std::string* which = nullptr) {
  for (const std::string& one : wanted) {
    if (std::none_of(tags.begin(), tags.end(), [&](const std::string& tag) { return tag_fits(one, tag); })) continue;
    if (which != nullptr) *which = one;
    return true;
  }
  return false;
}

struct run_options {
  tag_list include, exclude, only;
  std::string name;
  bool list = false;
  int skipped = 0;  // the exit code of a run without a test
};

// Takes its own words out of the command line. False, and says why, when one is not complete.
inline bool take_options(int& argc, char** argv, run_options& out) {
  int kept = 1;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    const std::size_t equals = word.find('=');
    const std::string_view option = word.substr(0, equals);
    tag_list* list = option == "--include"   ? &out.include
                     : option == "--exclude" ? &out.exclude
                     : option == "--only"    ? &out.only
                                             : nullptr;
    if (word == "--list-tags") {
      out.list = true;
    } else if (list != nullptr || option == "--name" || option == "--skipped-exit") {
      if (equals == std::string_view::npos && i + 1 >= argc) {
        std::fprintf(stderr, "%s: %s needs a %s\n", argv[0], argv[i],
                     list != nullptr      ? "tag"
                     : option == "--name" ? "name"
                                          : "code");
        return false;
      }
      std::string text(equals == std::string_view::npos ? std::string_view(argv[++i]) : word.substr(equals + 1));
      if (list != nullptr) list->push_back(std::move(text));
      else if (option == "--skipped-exit") out.skipped = std::atoi(text.c_str());
      else out.name = std::move(text);
    } else {
      argv[kept++] = argv[i];
    }
  }
  argc = kept;
  argv[argc] = nullptr;
  const char* more = std::getenv("TROUPE_TEST_INCLUDE");
  for (std::string_view rest = more != nullptr ? more : ""; !rest.empty();) {
    const std::size_t comma = std::min(rest.find(','), rest.size());
    if (comma > 0) out.include.emplace_back(rest.substr(0, comma));
    rest.remove_prefix(std::min(comma + 1, rest.size()));
  }
  return true;
}

// As GoogleTest would select it: "A.*:B.*-*.slow".
inline bool is_selected(const std::string& filter, const std::string& test) {
  const std::size_t minus = filter.find('-');
  const auto among = [&test](std::string_view patterns) {
    while (!patterns.empty()) {
      const std::size_t colon = std::min(patterns.find(':'), patterns.size());
      if (::fnmatch(std::string(patterns.substr(0, colon)).c_str(), test.c_str(), 0) == 0) return true;
      patterns.remove_prefix(std::min(colon + 1, patterns.size()));
    }
    return false;
  };
  const std::string_view chosen = std::string_view(filter).substr(0, minus);
  if (!chosen.empty() && !among(chosen)) return false;
  return minus == std::string::npos || !among(std::string_view(filter).substr(minus + 1));
}

// "Some/Suite.Name/3" of a test with parameters was written down as "Suite.Name".
inline const tag_list& tags_of(const std::string& suite, const std::string& name) {
  static const tag_list none;
  const std::size_t slash = suite.find('/');
  const std::string plain =
      (slash == std::string::npos ? suite : suite.substr(slash + 1)) + "." + name.substr(0, name.find('/'));
  const auto found = tags_of_tests().find(plain);
  return found == tags_of_tests().end() ? none : found->second;
}

template <class F>
void each_test(F look) {
  const ::testing::UnitTest& all = *::testing::UnitTest::GetInstance();
  for (int s = 0; s < all.total_test_suite_count(); ++s) {
    const ::testing::TestSuite& suite = *all.GetTestSuite(s);
    for (int t = 0; t < suite.total_test_count(); ++t) {
      const std::string name = suite.GetTestInfo(t)->name();
      look(std::string(suite.name()) + "." + name, tags_of(suite.name(), name));
    }
  }
}

}  // namespace detail

// The runner as a node, when --name was given; else null.
[[nodiscard]] inline node* this_node() { return detail::runner().get(); }

// What main returns: 0 when all that ran passed, 2 for a command line that is not understood.
[[nodiscard]] inline int run(int argc, char** argv) {
  detail::run_options how;
  if (!detail::take_options(argc, argv, how)) return 2;
  ::testing::InitGoogleTest(&argc, argv);
  if (argc > 1) {
    std::fprintf(stderr, "%s: unknown option %s; --help lists GoogleTest's, <troupe/testing.hpp> ours\n", argv[0],
                 argv[1]);
    return 2;
  }
  if (how.list) {
    detail::each_test([](const std::string& test, const detail::tag_list& tags) {
      std::string line = test;
      for (const std::string& tag : tags) line += " " + tag;
      std::puts(line.c_str());
    });
    return 0;
  }
  if (!how.name.empty()) {
    node_options options;
    options.name = how.name;
    auto started = node::start(std::move(options));
    if (!started) {
      std::fprintf(stderr, "%s: the runner is no node: %s\n", argv[0], started.error().message().c_str());
      return 1;
    }
    detail::runner() = std::move(*started);
  } else {
    how.exclude.emplace_back("distributed");
  }

  std::map<std::string, std::size_t> excluded;  // by the tag that did it
  std::string out;
  std::size_t selected = 0, left_out = 0;
  detail::each_test([&](const std::string& test, const detail::tag_list& tags) {
    std::string tag = "not in --only";
    const bool kept = !how.only.empty()
                          ? detail::any_fits(how.only, tags)
                          : detail::any_fits(how.include, tags) || !detail::any_fits(how.exclude, tags, &tag);
    (kept ? selected : left_out) += detail::is_selected(GTEST_FLAG_GET(filter), test) ? 1 : 0;
    if (kept || !detail::is_selected(GTEST_FLAG_GET(filter), test)) return;
    ++excluded[tag];
    out += (out.empty() ? "" : ":") + test;
  });
  // What was asked for by its tag is a mistake when there is no such thing: nothing ran, and nothing is shown by that.
  if (selected == 0 && !how.only.empty()) {
    std::string tags;
    for (const std::string& tag : how.only) tags += " --only " + tag;
    std::fprintf(stderr, "%s: no test fits%s (--list-tags lists all tags)\n", argv[0], tags.c_str());
    detail::runner().reset();
    return 2;
  }
  if (!out.empty()) {
    std::string filter = GTEST_FLAG_GET(filter);
    filter += (filter.find('-') == std::string::npos ? "-" : ":") + out;
    GTEST_FLAG_SET(filter, filter);
  }
  const int code = RUN_ALL_TESTS();
  for (const auto& [tag, count] : excluded) {
    std::printf("%zu excluded (%s)\n", count, tag.c_str());
  }
  detail::runner().reset();
  if (code != 0 || how.skipped == 0) return code;
  if (selected + left_out == 0) {
    std::fprintf(stderr, "%s: no test fits --gtest_filter=%s\n", argv[0], GTEST_FLAG_GET(filter).c_str());
    return 1;
  }
  return ::testing::UnitTest::GetInstance()->successful_test_count() == 0 ? how.skipped : 0;
}

}  // namespace troupe::testing
