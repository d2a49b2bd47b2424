#include <troupe/call.hpp>

#include "runtime/place.hpp"
#include "runtime/process_private.hpp"

namespace troupe::detail {

void start_call(process& self, envelope* request, call_wait& wait, duration limit) {
  wait.reply_id = self.make_ref_id();
  wait.deadline = wait_deadline(self, limit);
  if (request->from && request->id != 0 && !request->replied) {  // a call that was received, asked anew as our own
    self.core().answer_call(request->from, request->id,
                            error(errc::cancelled, "the server passed the call on as its own"));
  }
  request->from = self.id();
  request->replied = false;
  request->id = wait.reply_id;
  process_private::wait(self) = &wait;  // a reply may come while we still run
  try {
    self.send_envelope(wait.to, request);
  } catch (...) {  // out of memory: the frame that waits goes
    process_private::wait(self) = nullptr;
    throw;
  }
}

error reply_failure(envelope* reply, const call_wait& wait) {
  if (reply) {
    message taken(reply);
    if (reply->kind == signal::reply_error) {
      error why;
      if (error* told = taken.get<error>(&why)) return *told;
      return why;
    }
    return {errc::bad_message, "an answer that is none"};
  }
  return error(errc::timeout, wait.to.text() + " did not answer in time" + at_place(wait.where))
      .set_maybe_executed(true);
}

}  // namespace troupe::detail
