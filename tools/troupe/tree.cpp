#include "troupe/output.hpp"
#include "troupe/session.hpp"

namespace troupe::tool {
namespace {

std::string label(const value& node) {
  std::string out = plain_at(node, "id");
  std::string process = plain_at(node, "pid");
  out += " " + (process.empty() ? plain_at(node, "status") : process);
  std::string name = plain_at(node, "name");
  if (!name.empty() && name != plain_at(node, "id")) out += " " + name;
  if (node.text_at("type") == "supervisor") out += " (supervisor)";
  return out + "\n";
}

void draw(const value& node, const std::string& prefix, std::string& out) {
  const value* children = node.find("children");
  const list* items = children ? children->items() : nullptr;
  for (std::size_t i = 0; items && i < items->size(); ++i) {
    bool last = i + 1 == items->size();
    out += prefix + (last ? "└─ " : "├─ ") + label((*items)[i]);
    draw((*items)[i], prefix + (last ? "   " : "│  "), out);
  }
}

std::string show(const value& found) {
  std::string out;
  auto root = [&](const value& each) {
    out += label(each);
    draw(each, "", out);
  };
  if (const list* roots = found.items()) {
    for (const value& each : *roots) root(each);
    if (roots->empty()) out = "no application runs on this node\n";
  } else {
    root(found);
  }
  return out;
}

int run(const parsed_options& given) {
  list asked;
  if (given.has("SUPERVISOR")) asked.push_back(parse_argument(given.text("SUPERVISOR")));
  return ask_and_show("tree", given, "troupe.tree", std::move(asked), show);
}

}  // namespace

command tree_command() {
  command_table rows;
  rows.name = "tree";
  rows.summary = "The supervision tree of a node.";
  rows.arguments = {node_argument(), {"SUPERVISOR", "from there on: a registered name or a pid", false}};
  rows.options = with_session({});
  rows.example = "troupe tree exercise";
  return {std::move(rows), run};
}

}  // namespace troupe::tool
