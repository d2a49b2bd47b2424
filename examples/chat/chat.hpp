#pragma once
// Messages between people on different nodes: each is a task, supervised where it is received.
#include <string>

#include <troupe/application.hpp>
#include <troupe/process.hpp>

namespace chat {

// Prints the message on the recipient's node ("bob@localhost"), once it is there: "ok". A node whose
// name begins with "eve" is one of busy people: it answers by itself. errc: noconnection, noproc, timeout, as the
// task's.
troupe::task<troupe::result<std::string>> send_message(troupe::process& self, std::string recipient, std::string text);

// All that `main` hands to troupe::run.
troupe::application program();

}  // namespace chat
