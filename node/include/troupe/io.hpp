#pragma once
// What `process::print` sends to the group leader. A process that is a terminal, or passes output on, handles it.
#include <string>

#include <troupe/message.hpp>

namespace troupe {

struct io_put {
  std::string text;  // written as it is: print adds the line's end
  TROUPE_MESSAGE(io_put, "io.put", text)
};

// A call: the answer (nil) comes when all that was put before has been written.
struct io_sync {
  using reply = void;
  TROUPE_MESSAGE(io_sync, "io.sync")
};

}  // namespace troupe
