#include "troupe/output.hpp"
#include "troupe/session.hpp"

namespace troupe::tool {
namespace {

std::string seconds(const value& peer, std::string_view key) {
  const value* ms = peer.find(key);
  return ms ? plain(value(static_cast<std::int64_t>(ms->number().value_or(0) / 1000))) + " s" : "";
}

std::string peers_table(const value& about) {
  table shown({"NODE", "STATE", "CLASS", "UP", "QUEUED", "IN", "OUT", "ENDPOINT OR REASON"});
  const value* network = about.find("network");
  const value* peers = network ? network->find("peers") : nullptr;
  for (const value& peer : peers && peers->items() ? *peers->items() : list()) {
    if (peer.text_at("class") == "tool") continue;
    auto bytes = [&peer](std::string_view key) { return byte_count(static_cast<std::uint64_t>(peer.integer_at(key))); };
    const bool up = peer.text_at("state") == "up";
    shown.row({plain_at(peer, "name"), plain_at(peer, "state"), plain_at(peer, "class"), seconds(peer, "up_ms"),
               bytes("queued_bytes"), up ? bytes("bytes_in") : "", up ? bytes("bytes_out") : "",
               plain_at(peer, up ? "endpoint" : "last_failure")});
  }
  return shown.text();
}

int run(const parsed_options& given) { return ask_and_show("nodes", given, "troupe.info", {}, peers_table); }

}  // namespace

command nodes_command() {
  command_table rows;
  rows.name = "nodes";
  rows.summary =
      "The nodes that a node is connected to or wants to be, and why not. Tools are left out; --json has them.";
  rows.arguments = {node_argument()};
  rows.options = with_session({});
  rows.example = "troupe nodes exercise";
  return {std::move(rows), run};
}

}  // namespace troupe::tool
