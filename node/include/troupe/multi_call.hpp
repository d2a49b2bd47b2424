#pragma once
// The server of one name on several nodes (gen_server:abcast, multi_call).
//     troupe::abcast(self, "store", Flush());                                    // this node and all visible ones
//     std::vector<std::string> nodes = troupe::nodes(self);
//     auto asking = troupe::multi_call(self, nodes, "store", Read("apples"), 500ms);
//     auto replies = co_await std::move(asking);
//     for (auto& [node, total] : replies) …                                      // result<Total> for each, in order
#include <string>
#include <utility>
#include <vector>

#include <troupe/rpc.hpp>

namespace troupe {

namespace detail {

[[nodiscard]] std::vector<std::string> here_and_visible(const process& self);
void send_to_each(process& self, const std::vector<std::string>& nodes, const std::string& name, const value& content);
[[nodiscard]] std::shared_ptr<pending_call> begin_server_call(process& self, const std::string& node,
                                                              const std::string& name, value request);

}  // namespace detail

// No answer, no error; nodes and servers that are not there are ignored.
template <class Request>
void abcast(process& self, const std::vector<std::string>& nodes, const std::string& name, Request&& request) {
  detail::send_to_each(self, nodes, name, detail::as_message(std::forward<Request>(request)).to_value());
}
template <class Request>
void abcast(process& self, const std::string& name, Request&& request) {
  abcast(self, detail::here_and_visible(self), name, std::forward<Request>(request));
}

template <class R>
struct node_reply {
  node_reply(std::string node_given, result<R> reply_given)
      : node(std::move(node_given)), reply(std::move(reply_given)) {}
  std::string node;
  result<R> reply;  // errc: noproc (no such name there), noconnection, timeout, exited, what the server replied
};

// All are asked at once, one deadline holds for all; late replies are dropped.
template <class R>
[[nodiscard]] task<std::vector<node_reply<R>>> gather_replies(process& self, std::vector<std::string> nodes,
                                                              std::vector<rpc::pending<R>> calls, duration limit,
                                                              std::source_location where) {
  auto gathering = rpc::gather<R>(self, std::move(calls), limit, where);
  auto got = co_await std::move(gathering);
  std::vector<node_reply<R>> out;
  for (std::size_t i = 0; i < got.size(); ++i) out.emplace_back(std::move(nodes[i]), std::move(got[i]));
  co_return out;
}

template <class Reply = detail::named_reply, detail::named_or_safe Request>
[[nodiscard]] task<std::vector<node_reply<detail::reply_of_call<Reply, Request>>>> multi_call(
    process& self, std::vector<std::string> nodes, const std::string& name, Request&& request,
    duration limit = default_call_time, std::source_location where = std::source_location::current()) {
  using R = detail::reply_of_call<Reply, Request>;
  const value content = detail::as_message(std::forward<Request>(request)).to_value();
  std::vector<rpc::pending<R>> calls;
  for (const std::string& node : nodes)
    calls.emplace_back(self, detail::begin_server_call(self, node, name, content), where);
  return gather_replies<R>(self, std::move(nodes), std::move(calls), limit, where);
}

}  // namespace troupe
