#include <troupe/multi_call.hpp>

#include <troupe/node.hpp>

namespace troupe::detail {
namespace {

task<result<message>> ask(process& self, address server, value request) {
  auto got = co_await call<value>(self, std::move(server), std::move(request)).within(wait_forever);
  if (!got) co_return got.error();
  co_return message(std::move(*got));
}

}  // namespace

std::vector<std::string> here_and_visible(const process& self) {
  std::vector<std::string> out = nodes(self, node_class::visible);
  out.insert(out.begin(), self.node().name());
  return out;
}

void send_to_each(process& self, const std::vector<std::string>& nodes, const std::string& name, const value& content) {
  for (const std::string& node : nodes) self.send(address(name, node), value(content));
}

std::shared_ptr<pending_call> begin_server_call(process& self, const std::string& node, const std::string& name,
                                                value request) {
  pending_work work = [to = address(name, node), request = std::move(request)](process& worker) {
    return ask(worker, to, request);
  };
  return begin_pending(self, name + " on " + node, std::move(work));
}

}  // namespace troupe::detail
