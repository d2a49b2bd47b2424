#include "support/paths.hpp"

#include <gtest/gtest.h>

#include <filesystem>

namespace {

TEST(Paths, BuildAndSourceExist) {
  EXPECT_TRUE(std::filesystem::exists(troupe::test::build_dir() + "/CMakeCache.txt"));
  EXPECT_TRUE(std::filesystem::exists(troupe::test::source_dir() + "/VERSION"));
}

}  // namespace
