#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace troupe::test {

// A fresh empty directory, 0700, removed with the object. Its path is short, since the path of an ipc endpoint may
// have little more than 100 characters.
class temp_dir {
 public:
  temp_dir();
  ~temp_dir();
  temp_dir(const temp_dir&) = delete;
  temp_dir& operator=(const temp_dir&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(std::string_view name) const { return path_ / name; }
  std::string str() const { return path_.string(); }

  // Writes (or replaces) a file below this directory, making the folders it needs; returns its path.
  std::filesystem::path write(std::string_view name, std::string_view content) const;

 private:
  std::filesystem::path path_;
};

std::string read_file(const std::filesystem::path& path);

}  // namespace troupe::test
