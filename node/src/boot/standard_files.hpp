#pragma once
// Descriptors 0 to 2 of a program whose starter may have closed them.

namespace troupe::internal {

// Opens /dev/null on each of 0, 1 and 2 that is closed. Else the next file that the program opens is its standard
// output: a log would be written into an eventfd, and a child's pipe would be its standard input. First of all, before
// anything is opened; thread: main.
void open_standard_files() noexcept;

}  // namespace troupe::internal
