#include "chat.hpp"

#include <troupe/config.hpp>
#include <troupe/node.hpp>
#include <troupe/task_supervisor.hpp>

namespace chat {
namespace {

constexpr const char* tasks_name = "chat.tasks";

// Where the recipient's tasks run: on his node, or here, as the environment has it.
troupe::address supervisor_of(troupe::process& self, const std::string& recipient) {
  const auto where = troupe::config(self).get<std::string>("chat.tasks").or_exit();
  return where == "local" ? troupe::address(tasks_name) : troupe::address(tasks_name, recipient);
}

// -- what runs at the recipient's

void receive_message(troupe::process& self, const std::string& text) { self.print(text + "\n"); }

// She is never in the mood: the sender gets an answer instead.
troupe::task<troupe::result<std::string>> busy_people(troupe::process& self, std::string sender) {
  auto answer = send_message(self, std::move(sender), "stay quiet for a while");
  co_return co_await std::move(answer);
}

}  // namespace

troupe::task<troupe::result<std::string>> send_message(troupe::process& self, std::string recipient, std::string text) {
  const troupe::address tasks = supervisor_of(self, recipient);
  const bool busy = recipient.starts_with("eve");
  auto told = busy ? troupe::async_nolink(self, tasks, "chat.busy_people", self.node().name())
                   : troupe::async_nolink(self, tasks, "chat.receive_message", text);
  auto waiting = told.await(self);
  auto done = co_await std::move(waiting);
  if (!done) co_return done.error();
  co_return "ok";
}

troupe::application program() {
  troupe::application app{.name = "chat", .version = "1.0.0"};
  app.config.text("chat.tasks", "remote", "where a message is received: at its recipient's, or here, as in a test")
      .one_of({"remote", "local"});
  app.offers.function("chat.send_message", send_message,
                      "send_message(recipient, text): \"ok\" when it was printed there");
  app.offers.function("chat.receive_message", receive_message, "receive_message(text): prints it");
  app.offers.function("chat.busy_people", busy_people, "busy_people(sender): tells the sender to wait");
  app.start = [] { return troupe::supervise("chat.supervisor").child(troupe::task_supervisor(tasks_name)); };
  return app;
}

}  // namespace chat
