#include "troupe/output.hpp"
#include "troupe/session.hpp"

namespace troupe::tool {
namespace {

std::string seconds(const value& peer, std::string_view key) {
  const value* ms = peer.find(key);
  return ms ? plain(value(static_cast<std::int64_t>(ms->number().value_or(0) / 1000))) + " s" : "";
}

// What one side dialled; where that was them, also where they come from.
std::string way(const value& peer) {
  if (peer.text_at("state") != "up") return plain_at(peer, "last_failure");
  const value* dialled = peer.find("dialled");
  if (dialled && *dialled == value(true)) return plain_at(peer, "endpoint");
  const std::string from = plain_at(peer, "from");
  return "at " + plain_at(peer, "endpoint") + (from.empty() ? "" : " from " + from);
}

std::string joined(const value* names) {
  std::string out;
  for (const value& one : names && names->items() ? *names->items() : list())
    out += (out.empty() ? "" : ", ") + plain(one);
  return out;
}

// Nodes that have seen others than this one for a while: below the table, since most often there is none.
std::string differing_views(const std::string& here, const value* peers) {
  std::string out;
  for (const value& peer : peers && peers->items() ? *peers->items() : list()) {
    const value* view = peer.find("view");
    if (!view) continue;
    const std::string name = plain_at(peer, "name");
    const std::string there = joined(view->find("only_there")), ours = joined(view->find("only_here"));
    out += name + " has seen others than " + here + " for " + seconds(*view, "differs_ms");
    if (!there.empty()) out += "; it alone sees " + there;
    if (!ours.empty()) out += "; " + here + " alone sees " + ours;
    if (const auto more = view->integer_at("unnamed"); more != 0) out += "; and " + std::to_string(more) + " more";
    out += "\n";
  }
  return out.empty() ? out : "\n" + out;
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
               bytes("queued_bytes"), up ? bytes("bytes_in") : "", up ? bytes("bytes_out") : "", way(peer)});
  }
  return shown.text() + differing_views(plain_at(about, "name"), peers);
}

int run(const parsed_options& given) { return ask_and_show("nodes", given, "troupe.info", {}, peers_table); }

}  // namespace

command nodes_command() {
  command_table rows;
  rows.name = "nodes";
  rows.summary =
      "The nodes that a node is connected to or wants to be, and why not. Tools are left out; --json has them.";
  rows.notes =
      "The last column is the endpoint that this node dialled; or \"at\" the one of its own that was dialled, \"from\" "
      "the "
      "address of the other side, which is not one to dial. Below the table: nodes that have been connected to others "
      "than "
      "this one for 5 s.";
  rows.arguments = {node_argument()};
  rows.options = with_session({});
  rows.example = "troupe nodes exercise";
  return {std::move(rows), run};
}

}  // namespace troupe::tool
