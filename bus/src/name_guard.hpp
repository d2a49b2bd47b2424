#pragma once
// A node's name, held by the kernel beside the lock file: who removes files cannot free it.
#include <sys/types.h>

#include <filesystem>
#include <string_view>

#include <troupe/error.hpp>

#include "unique_fd.hpp"

namespace troupe::internal {

// An abstract socket named after user, mount namespace, folder and node; it goes with the process. errc::name_taken
// says which os process has it. Another user's of that name is no holder: who else may bind it is not for us to say, so
// then, and where the kernel gives none, the descriptor is empty and the lock file alone counts.
[[nodiscard]] result<unique_fd> guard_name(const std::filesystem::path& folder, std::string_view name);

// The folder itself, with a shared flock: systemd-tmpfiles and its like pass by what is locked. Empty when it cannot be
// had now.
[[nodiscard]] unique_fd guard_folder(const std::filesystem::path& folder);

}  // namespace troupe::internal
