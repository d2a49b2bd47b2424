#include <algorithm>
#include <stdexcept>

#include <troupe/config.hpp>
#include <troupe/log_sink.hpp>

namespace troupe {
namespace {

bool legal_path(std::string_view path) {
  bool empty = true;
  for (char c : path) {
    if (c == '.') {
      if (empty) return false;
      empty = true;
      continue;
    }
    if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_')) return false;
    empty = false;
  }
  return !empty;
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      std::size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

std::string_view last_word(std::string_view path) {
  std::size_t dot = path.rfind('.');
  return dot == std::string_view::npos ? path : path.substr(dot + 1);
}

}  // namespace

std::string_view to_string(config_key::kind kind) noexcept {
  switch (kind) {
    case config_key::kind::boolean: return "boolean";
    case config_key::kind::integer: return "integer";
    case config_key::kind::number: return "number";
    case config_key::kind::text: return "text";
    case config_key::kind::time: return "time";
    case config_key::kind::texts: return "list of texts";
  }
  return "?";
}

config_key& config_key::at_least(double bound) {
  least = bound;
  return *this;
}
config_key& config_key::at_most(double bound) {
  most = bound;
  return *this;
}
config_key& config_key::between(duration low, duration high) {
  return between(static_cast<double>(low.count()), static_cast<double>(high.count()));
}
config_key& config_key::one_of(std::vector<std::string> words) {
  choices = std::move(words);
  return *this;
}
config_key& config_key::hide() {
  secret = true;
  return *this;
}

config_key& config_schema::add(config_key key) {
  if (!legal_path(key.path)) throw std::invalid_argument("config_schema: \"" + key.path + "\" is no key path");
  if (find(key.path)) throw std::invalid_argument("config_schema: " + key.path + " is there already");
  return keys_.emplace_back(std::move(key));
}
config_key& config_schema::boolean(std::string path, bool standard, std::string doc) {
  return add({std::move(path), config_key::kind::boolean, value(standard), std::move(doc), {}, {}, {}, false});
}
config_key& config_schema::integer(std::string path, std::int64_t standard, std::string doc) {
  return add({std::move(path), config_key::kind::integer, value(standard), std::move(doc), {}, {}, {}, false});
}
config_key& config_schema::number(std::string path, double standard, std::string doc) {
  return add({std::move(path), config_key::kind::number, value(standard), std::move(doc), {}, {}, {}, false});
}
config_key& config_schema::text(std::string path, std::string standard, std::string doc) {
  return add({std::move(path), config_key::kind::text, value(std::move(standard)), std::move(doc), {}, {}, {}, false});
}
config_key& config_schema::time(std::string path, duration standard, std::string doc) {
  return add({std::move(path), config_key::kind::time, value(standard.count()), std::move(doc), 0.0, {}, {}, false});
}
config_key& config_schema::texts(std::string path, std::vector<std::string> standard, std::string doc) {
  return add({std::move(path), config_key::kind::texts, to_value(standard), std::move(doc), {}, {}, {}, false});
}

void config_schema::merge(const config_schema& other) {
  for (const config_key& key : other.keys_) add(key);
}

const config_key* config_schema::find(std::string_view path) const noexcept {
  auto at = std::find_if(keys_.begin(), keys_.end(), [&](const config_key& key) { return key.path == path; });
  return at == keys_.end() ? nullptr : &*at;
}

std::vector<std::string> config_schema::near_matches(std::string_view path) const {
  std::vector<std::pair<std::size_t, std::string>> found;
  for (const config_key& key : keys_) {
    std::size_t distance = edit_distance(path, key.path);
    // The right word in the wrong section is as near as a slip of two fingers.
    if (last_word(path) == last_word(key.path)) distance = std::min<std::size_t>(distance, 2);
    if (distance <= std::max<std::size_t>(2, key.path.size() / 4)) found.emplace_back(distance, key.path);
  }
  std::sort(found.begin(), found.end());
  std::vector<std::string> out;
  for (std::size_t i = 0; i < found.size() && i < 3; ++i) out.push_back(found[i].second);
  return out;
}

const config_schema& node_config_schema() {
  static const config_schema schema = [] {
    using namespace std::chrono_literals;
    config_schema keys;
    keys.text("node.name", "", "name of the node, \"exercise\" or \"exercise@host\"; empty: the application's");
    keys.text("node.environment", "dev", "set by --env or TROUPE_ENV alone: config/ENV.toml is read as well");
    keys.boolean("node.hidden", false, "connects to others without being listed");
    keys.boolean("node.distribution", true, "false: only tools of this host may connect, by the control key");
    keys.texts("node.listen", {}, "further endpoints, such as \"tcp://127.0.0.1:4370\"");
    keys.texts(
        "node.advertise", {},
        "where other nodes are told to dial this one, in place of node.listen: behind a NAT, in a container, by a "
        "name; such as \"tcp://hosta.example:4370\"");
    keys.texts("node.peers", {},
               "nodes to be connected to whenever they are there: \"b@localhost\", \"c@hostc=tcp://hostc:4370\"");
    keys.text("node.mesh", "automatic",
              "\"automatic\": connect to every node that those it meets know; \"explicit\": to those named alone")
        .one_of({"automatic", "explicit"});
    keys.text("node.partition", "islands",
              "what global names and locks do while nodes disagree about who is there (node/GLOBAL.md); the same on "
              "every node")
        .one_of({"islands", "keep", "quorum"});
    keys.texts("node.allow", {}, "globs: nodes that may connect or be connected to; empty: all");
    keys.texts("node.deny", {}, "globs: nodes that may not, even if allowed");
    keys.texts("node.wait_for", {}, "nodes to be connected, their global names known, before the application starts");
    keys.time("node.wait_within", 7s, "how long that may take").between(0s, 1h);
    keys.boolean("node.wait_optional", false, "true: start without those that are not there by then");
    keys.time("node.tick", 15s,
              "a peer that is silent for four of these is lost; with a peer the smaller of both counts")
        .between(10ms, 10min);
    keys.integer("node.message_bytes", std::int64_t{1} << 31, "longest message from another node")
        .between(1 << 20, std::int64_t{1} << 40);
    keys.text("node.transport", "direct",
              "who carries connections, ipc and tcp: \"direct\", this program itself, or \"zeromq\", the library of "
              "that name, slower; each understands the other")
        .one_of({"direct", "zeromq"});
    keys.text("node.encryption", "auto",
              "tcp that is encrypted: \"auto\", all that may leave this host, or \"always\", loopback too")
        .one_of({"auto", "always"});
    keys.boolean("node.plain_text", false, "allows tcp off loopback without encryption");
    keys.text("node.cookie_file", "",
              "file (0600) with the cluster's cookie; empty: TROUPE_COOKIE, then ~/.troupe/cookie");
    keys.text("node.run_directory", "",
              "where nodes of this host find each other; empty: TROUPE_RUN_DIR, else /run/troupe for root, "
              "XDG_RUNTIME_DIR/troupe or /tmp/troupe-UID for others");
    keys.integer("node.workers", 0, "threads that run processes; 0: one less than cores, at least 2").between(0, 1024);
    keys.integer("node.max_processes", 1 << 22, "most processes at a time").between(16, 1 << 28);
    keys.integer("node.mailbox_limit", 0, "most waiting messages of a process; 0: no limit").at_least(0);
    keys.integer("node.mailbox_bytes", 0, "a process with so many bytes waiting takes no more; 0: no limit")
        .at_least(0);
    keys.time("node.stall_after", 100ms, "a process that holds its worker longer is reported while it does; 0s: never")
        .between(0s, 1h);
    keys.time("node.stop_within", 30s, "deadline of an orderly stop; what has not ended then is killed")
        .between(0s, 1h);
    std::vector<std::string> levels;
    for (int level = 0; level <= static_cast<int>(log_level::debug); ++level)
      levels.emplace_back(to_string(static_cast<log_level>(level)));
    keys.text("log.level", "info", "least urgent level that is written").one_of(std::move(levels));
    keys.boolean("log.console", true, "write the log to standard output");
    keys.text("log.file", "", "file to write the log to as well; empty: none");
    keys.integer("log.file_bytes", 10 << 20, "the file is rotated before it grows over so many bytes")
        .between(4096, std::int64_t{1} << 40);
    keys.integer("log.file_count", 5, "old files that are kept: FILE.1, the newest, and so on").between(1, 1000);
    keys.text("log.format", "text", "form of a log line").one_of({"text", "json"});
    return keys;
  }();
  return schema;
}

}  // namespace troupe
