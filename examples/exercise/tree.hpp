#pragma once
#include <troupe/application.hpp>

namespace exercise {

// exercise.supervisor with exercise.calculator and exercise.user.
troupe::supervisor tree();

// All that `main` hands to troupe::run.
troupe::application program();

}  // namespace exercise
