#pragma once
// How much room a value takes, roughly: what budgets of traces and the log queue are counted in.
#include <cstddef>

#include <troupe/value.hpp>

namespace troupe::internal {

// Stops counting once `enough` is reached: a huge value costs no more to weigh than the budget it breaks.
[[nodiscard]] std::size_t approximate_size(const value& of, std::size_t enough = static_cast<std::size_t>(-1)) noexcept;
[[nodiscard]] std::size_t approximate_size(const map& of, std::size_t enough = static_cast<std::size_t>(-1)) noexcept;

}  // namespace troupe::internal
