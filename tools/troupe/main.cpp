#include <exception>
#include <iostream>

#include "boot/signals.hpp"
#include "troupe/command.hpp"

int main(int argc, char** argv) {
  // Before the first thread: signals are read by one thread of the session (session.hpp).
  troupe::internal::block_signals();
  try {
    return troupe::tool::dispatch(troupe::tool::commands(), std::vector<std::string>(argv + 1, argv + argc));
  } catch (const std::exception& e) {
    std::cerr << "troupe: " << e.what() << "\n";
    return troupe::internal::exit_failed;
  }
}
