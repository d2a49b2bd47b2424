#pragma once
// Files that only their owner may read: cookies, keys, and what a node says in its run directory.
#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

#include <troupe/error.hpp>

namespace troupe::internal {

// errc::io, "cannot WHAT PATH: what the system said (errno)".
[[nodiscard]] error system_failure(std::string_view what, const std::filesystem::path& path);

// At most `longest` bytes of a regular file, no symlink followed at the end; not_found when it is missing.
[[nodiscard]] result<std::string> read_whole(const std::filesystem::path& path, std::size_t longest);
// The same for a secret: ours or root's, and closed to group and others, else not_allowed with what mends it.
// `root_may`: root reads other users' too.
[[nodiscard]] result<std::string> read_secret(const std::filesystem::path& path, std::size_t longest,
                                              bool root_may = false);

// A secret that somebody gives us, by hand or as a container platform mounts it: links of ours or root's are followed,
// and root's file of mode 0440 may be of a group that this process is in. not_allowed says what mends it.
[[nodiscard]] result<std::string> read_given_secret(const std::filesystem::path& path, std::size_t longest);

// Replaces the file in one step; mode 0600.
[[nodiscard]] result<void> replace_file(const std::filesystem::path& path, std::string_view content);
// Makes the file, mode 0600, with all its content at once; name_taken when something is there already.
[[nodiscard]] result<void> create_file(const std::filesystem::path& path, std::string_view content);

// RFC 4648 in lower case, without padding.
[[nodiscard]] std::string base32(std::string_view data);

}  // namespace troupe::internal
