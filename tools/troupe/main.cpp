#include <exception>
#include <iostream>

#include "boot/run_options.hpp"
#include "boot/signals.hpp"
#include "boot/standard_files.hpp"
#include "troupe/command.hpp"
#include "troupe/output.hpp"

int main(int argc, char** argv) {
  troupe::internal::open_standard_files();
  // Before the first thread: signals are read by one thread of the session (session.hpp).
  troupe::internal::block_signals();
  troupe::tool::guard_standard_error();
  try {
    std::vector<std::string> words(argv + 1, argv + argc);
    static_cast<void>(troupe::internal::take_cookie(argc, argv));  // not where every user of this machine can read it
    return troupe::tool::dispatch(troupe::tool::commands(), std::move(words));
  } catch (const std::exception& e) {
    std::cerr << "troupe: " << e.what() << "\n";
    return troupe::internal::exit_failed;
  }
}
