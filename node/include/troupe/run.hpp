#pragma once
// The `main` of an application that is a node: options, configuration, signals, standard output, log, readiness.
//     int main(int argc, char** argv) {
//       return troupe::run(argc, argv, {.name = "images", .offers = std::move(offers), .start = image_app});
//     }
#include <troupe/application.hpp>

namespace troupe {

// Returns the program's exit code: 0 after a stop that a signal, a tool or `--help` asked for; 1 when it could not
// start, its root supervisor died, or not everything had ended in time; 2 for a command line that is not understood.
// Reasons go to standard error. Call it once, from main, before any thread exists.
//
// Signals: SIGTERM and SIGINT stop the application in order, within node.stop_within; a second one ends the program now
// (exit code 1). SIGHUP does the same in the foreground; a daemon and a program under nohup ignore it. SIGPIPE is
// ignored. All are blocked in every thread: who starts children by other means than posix_spawn with a mask must
// unblock them. As process 1 it reaps zombies.
[[nodiscard]] int run(int argc, char** argv, application app);

}  // namespace troupe
