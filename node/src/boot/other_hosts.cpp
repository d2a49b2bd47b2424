#include "boot/other_hosts.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include <troupe/ids.hpp>

#include "boot/config_sources.hpp"
#include "boot/local_nodes.hpp"
#include "boot/toml.hpp"

namespace troupe::internal {
namespace {

// Of a node's keys, those that say how others are reached.
config_schema reaching_keys() {
  config_schema out;
  for (const char* path : {"node.environment", "node.peers", "node.encryption", "node.plain_text"})
    out.add(*node_config_schema().find(path));
  return out;
}

result<config> read_configuration(const parsed_options& given, const char* const* variables) {
  config_loader loader(reaching_keys());
  config_sources from = find_config_sources(given, variables);
  if (given.has("config")) {
    loader.skip_unknown();
    read_config_sources(from, loader);
    return loader.finish();
  }
  const char* home = std::getenv("HOME");
  const std::string file = home != nullptr ? std::string(home) + "/.troupe/peers" : std::string();
  if (!file.empty() && ::access(file.c_str(), F_OK) == 0) loader.file(file);
  loader.skip_unknown();  // the variables are those of any program
  read_config_variables(from, loader);
  return loader.finish();
}

bool names(const std::vector<std::string>& peers, const std::string& target) {
  return std::ranges::any_of(peers, [&](const std::string& one) { return parse_peer(one)->name == target; });
}

}  // namespace

result<peer_text> parse_peer(std::string_view text) {
  const auto failed = [text](const error& why) {
    return error(errc::bad_config, "peer \"" + std::string(text) + "\": " + why.text());
  };
  const auto equals = text.find('=');
  auto name = complete_node_name(text.substr(0, equals));
  if (!name) return failed(name.error());
  peer_text out{std::move(*name), std::nullopt};
  if (equals == std::string_view::npos) return out;
  auto where = bus::endpoint::parse(text.substr(equals + 1));
  if (!where) return failed(where.error());
  out.where = std::move(*where);
  return out;
}

result<std::vector<std::string>> given_peers(const parsed_options& given) {
  std::vector<std::string> out;
  for (const std::string& word : given.all("peer")) {
    auto items = parse_texts(word);  // each may be a list, as for a program
    if (!items) return error(errc::bad_argument, "--peer: " + items.error().text());
    for (const value& item : *items) {
      std::string text = item.text() ? *item.text() : item.print();
      if (auto peer = parse_peer(text); !peer) return error(errc::bad_argument, "--peer: " + peer.error().text());
      out.push_back(std::move(text));
    }
  }
  return out;
}

result<plain_text> plain_text_of(const config& values) {
  const auto plain = values.get<bool>("node.plain_text");
  if (!plain) return plain.error();
  const auto encryption = values.get<std::string>("node.encryption");
  if (!encryption) return encryption.error();
  const bool always = *encryption == "always";
  if (*plain && always) {
    return error(errc::bad_config, "node.plain_text allows what node.encryption = \"always\" forbids: choose one");
  }
  return *plain ? plain_text::anywhere : always ? plain_text::nowhere : plain_text::on_loopback;
}

result<transport_kind> parse_transport(std::string_view word) {
  if (word == "direct") return transport_kind::direct;
  if (word == "zeromq") return transport_kind::zeromq;
  return error(errc::bad_argument, "\"" + std::string(word) + "\" is none of direct, zeromq");
}

result<other_hosts> find_other_hosts(const parsed_options& given, const std::string& target,
                                     const char* const* variables) {
  other_hosts out;
  auto asked = given_peers(given);
  if (!asked) return asked.error();
  for (const std::string& text : *asked) {
    if (!parse_peer(text)->where)
      return error(errc::bad_argument, "--peer " + text + ": where is it? " + text + "=tcp://HOST:PORT");
  }
  out.peers = std::move(*asked);
  const bool named = out.elsewhere = names(out.peers, target);
  if (named && !given.has("config")) return out;
  if (!named) {
    // What concerns other hosts alone must not keep anybody from a node of this one.
    const auto here = find_local_node(target);
    if (here || here.error() != errc::noproc) return out;
  }
  auto values = read_configuration(given, variables);
  if (!values) return values.error();
  auto speech = plain_text_of(*values);
  if (!speech) return speech.error();
  out.speech = *speech;
  if (named) return out;
  auto known = values->get<std::vector<std::string>>("node.peers");
  if (!known) return known.error();
  for (std::string& text : *known) {
    auto peer = parse_peer(text);
    if (!peer) return peer.error();
    if (peer->where) out.peers.push_back(std::move(text));
  }
  out.elsewhere = names(out.peers, target);
  return out;
}

}  // namespace troupe::internal
