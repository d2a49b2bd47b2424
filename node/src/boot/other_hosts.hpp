#pragma once
// Where nodes of other hosts are: how a peer is written, and where a tool looks for those that it may reach.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <troupe/bus/endpoint.hpp>
#include <troupe/config.hpp>
#include <troupe/plain_text.hpp>
#include <troupe/transport_kind.hpp>

#include "boot/options.hpp"

namespace troupe::internal {

// "NODE", which is looked for in the run directory, or "NODE=ENDPOINT".
struct peer_text {
  std::string name;  // whole: "b@hostb"
  std::optional<bus::endpoint> where;
};
// errc::bad_config, with the text.
[[nodiscard]] result<peer_text> parse_peer(std::string_view text);

// node.plain_text and node.encryption. errc::bad_config when one forbids what the other asks for.
[[nodiscard]] result<plain_text> plain_text_of(const config& values);

// node.transport's words. errc::bad_argument names them.
[[nodiscard]] result<transport_kind> parse_transport(std::string_view word);

// Those of --peer, one each. errc::bad_argument.
[[nodiscard]] result<std::vector<std::string>> given_peers(const parsed_options& given);

struct other_hosts {
  std::vector<std::string> peers;  // as node_options::peers
  plain_text speech = plain_text::on_loopback;
  bool elsewhere = false;  // `target` is among them: it is reached there, whoever has its name here
};
// What a tool that asks `target` knows of other hosts. A node that --peer names, or that runs here, needs no more; for
// another one the configuration is read: the files of --config and what a program reads behind them, else
// ~/.troupe/peers, and TROUPE__NODE__PEERS in either case. Of these node.peers, node.encryption and node.plain_text
// count. errc: bad_argument for --peer, bad_config for the others.
[[nodiscard]] result<other_hosts> find_other_hosts(const parsed_options& given, const std::string& target,
                                                   const char* const* variables);

}  // namespace troupe::internal
