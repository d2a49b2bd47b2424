#include "boot/run_options.hpp"

#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>

#include <troupe/bus/security.hpp>

#include "boot/config_sources.hpp"
#include "boot/local_nodes.hpp"
#include "boot/other_hosts.hpp"
#include "boot/toml.hpp"
#include "global/membership.hpp"

namespace troupe::internal {
namespace {

struct shortcut {
  const char* option;
  const char* key;
  const char* fixed;  // the value that a flag stands for
};
constexpr shortcut shortcuts[] = {
    {"name", "node.name", nullptr},
    {"listen", "node.listen", nullptr},
    {"advertise", "node.advertise", nullptr},
    {"peer", "node.peers", nullptr},
    {"cookie-file", "node.cookie_file", nullptr},
    {"hidden", "node.hidden", "true"},
    {"transport", "node.transport", nullptr},
    {"plain-text", "node.plain_text", "true"},
    {"no-distribution", "node.distribution", "false"},
    {"log-level", "log.level", nullptr},
    {"log-file", "log.file", nullptr},
};

bool file_is_there(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

// Of the release that this program was started from by its script, when it has no COOKIE.
std::optional<std::string> missing_release_cookie() {
  const char* root = std::getenv("RELEASE_ROOT");
  if (root == nullptr || *root != '/') return std::nullopt;
  std::error_code failed;
  // Whoever is started by a release's program inherits the variable.
  const std::string self = std::filesystem::read_symlink("/proc/self/exe", failed).string();
  if (failed || !self.starts_with(std::string(root) + "/releases/")) return std::nullopt;
  std::string file = std::string(root) + "/releases/COOKIE";
  return file_is_there(file) ? std::nullopt : std::optional(std::move(file));
}

template <class T>
T required(const config& values, std::string_view path) {
  auto got = values.get<T>(path);
  return got ? std::move(*got) : T();
}

}  // namespace

command_table run_table(const application& app) {
  command_table table;
  table.name = app.name.empty() ? "node" : app.name;
  table.summary = table.name + (app.version.empty() ? "" : " " + app.version) + ": runs until it is told to stop.";
  table.options = {
      {"--name", takes::text, "NAME", "name of the node: NAME or NAME@HOST; the application's if not said"},
      {"--config", takes::text, "FILE", "read this file of configuration instead of config/config.toml", true},
      {"--env", takes::text, "ENV", "dev, test, prod, …: also read ENV.toml beside it; else TROUPE_ENV, else dev"},
      {"--set", takes::text, "KEY=VALUE", "set a key of the configuration, over every file", true},
      {"--explain-config", takes::nothing, "", "print every key with its value, source, default and meaning, and end"},
      {"--listen", takes::text, "ENDPOINT", "listen there too: tcp://127.0.0.1:4370", true},
      {"--advertise", takes::text, "ENDPOINT", "tell other nodes to dial this one there: tcp://HOST:PORT", true},
      {"--peer", takes::text, "NODE", "connect to NODE, or NODE=ENDPOINT, whenever it is there", true},
      {"--transport", takes::text, "KIND", "who carries connections: direct, if not said, or zeromq"},
      {"--plain-text", takes::nothing, "", "allow tcp off loopback without encryption"},
      {"--no-distribution", takes::nothing, "", "only tools of this host may connect"},
      {"--hidden", takes::nothing, "", "connect to others without being listed"},
      {"--cookie-file", takes::text, "FILE", "read the cluster's cookie from FILE (mode 0600); else TROUPE_COOKIE"},
      {"--cookie", takes::text, "VALUE", "for trying things out: the cookie where others can read it"},
      {"--log-level", takes::text, "LEVEL",
       "least urgent level that is logged: debug, info, notice, warning, error, …"},
      {"--log-file", takes::text, "FILE", "log to FILE, rotated at log.file_bytes"},
      {"--daemon", takes::nothing, "", "run in the background; return when ready, or say why not. Needs --log-file"},
      {"--ready-within", takes::time, "TIME", "with --daemon: how long it may take to be ready; 60s if not said"},
      {"-v,--version", takes::nothing, "", "print name and version, and end"},
  };
  table.example =
      table.name + " --set log.level=debug\n" + table.name + " --daemon --log-file /tmp/" + table.name + ".log";
  table.notes =
      "Configuration, later wins: config/config.toml (or --config FILE), ENV.toml beside it, the file of "
      "TROUPE_CONFIG, "
      "variables such as TROUPE__LOG__LEVEL=debug for log.level, options, --set. --explain-config shows where each "
      "value "
      "comes from.\n"
      "SIGTERM or SIGINT stops it in order, one that comes two seconds later or more at once. Exit code 0: stopped as "
      "asked; 1: failed; 2: usage.";
  return table;
}

std::optional<std::string> take_cookie(int argc, char** argv) {
  std::optional<std::string> found;
  for (int i = 1; i < argc && std::strcmp(argv[i], "--") != 0; ++i) {
    char* text = nullptr;
    if (std::strcmp(argv[i], "--cookie") == 0 && i + 1 < argc) text = argv[i + 1];
    else if (std::strncmp(argv[i], "--cookie=", 9) == 0) text = argv[i] + 9;
    if (!text) continue;
    found = text;
    std::memset(text, 'x', std::strlen(text));
  }
  return found;
}

result<config> load_config(const application& app, const parsed_options& given) {
  config_schema schema = node_config_schema();
  schema.merge(app.config);
  config_loader loader(std::move(schema));
  read_config_sources(find_config_sources(given, environ), loader);
  for (const shortcut& each : shortcuts) {
    if (!given.has(each.option)) continue;
    std::string text = each.fixed ? each.fixed : "";
    const std::string source = std::string("--") + each.option;
    const auto& words = given.all(each.option);
    if (words.size() == 1) text = words.front();
    // Each may be a list, too.
    list all;
    for (std::size_t i = 0; words.size() > 1 && i < words.size(); ++i) {
      if (auto items = parse_texts(words[i])) all.insert(all.end(), items->begin(), items->end());
      else loader.problem(source + ": " + items.error().text());
    }
    for (const value& one : all) text += (text.empty() ? "" : ",") + (one.text() ? *one.text() : one.print());
    loader.set(each.key, text, source);
  }
  for (const std::string& assignment : given.all("set")) loader.assignment(assignment);
  return loader.finish();
}

secret_variables take_secret_variables(const application& app) {
  secret_variables out;
  if (const char* text = std::getenv("TROUPE_COOKIE"); text != nullptr && *text != '\0') out.cookie = text;
  ::unsetenv("TROUPE_COOKIE");
  ::unsetenv("RELEASE_COOKIE");
  config_schema schema = node_config_schema();
  schema.merge(app.config);
  for (const std::string& name : secret_key_variables(schema, environ)) ::unsetenv(name.c_str());
  return out;
}

result<node_options> options_from(application& app, const config& values, std::optional<std::string> cookie,
                                  secret_variables secrets) {
  node_options out;
  out.name = required<std::string>(values, "node.name");
  if (out.name.empty()) out.name = app.name;
  out.hidden = required<bool>(values, "node.hidden");
  out.distribution = required<bool>(values, "node.distribution");
  out.listen = required<std::vector<std::string>>(values, "node.listen");
  out.advertise = required<std::vector<std::string>>(values, "node.advertise");
  out.peers = required<std::vector<std::string>>(values, "node.peers");
  out.mesh =
      required<std::string>(values, "node.mesh") == "explicit" ? mesh_policy::explicit_only : mesh_policy::automatic;
  out.partition =
      parse_partition_policy(required<std::string>(values, "node.partition")).value_or(partition_policy::islands);
  out.allow_nodes = required<std::vector<std::string>>(values, "node.allow");
  out.deny_nodes = required<std::vector<std::string>>(values, "node.deny");
  out.wait_for = required<std::vector<std::string>>(values, "node.wait_for");
  out.wait_within = required<duration>(values, "node.wait_within");
  out.wait_optional = required<bool>(values, "node.wait_optional");
  out.wire.tick = std::chrono::duration_cast<std::chrono::milliseconds>(required<duration>(values, "node.tick"));
  out.wire.message_bytes = required<std::size_t>(values, "node.message_bytes");
  const auto speech = plain_text_of(values);
  if (!speech) return speech.error();
  out.plain_text = *speech;
  out.transport = parse_transport(required<std::string>(values, "node.transport")).value_or(out.transport);
  out.run_directory = required<std::string>(values, "node.run_directory");
  out.workers = required<unsigned>(values, "node.workers");
  out.max_processes = required<std::size_t>(values, "node.max_processes");
  out.mailbox_limit = required<std::size_t>(values, "node.mailbox_limit");
  out.mailbox_bytes = required<std::size_t>(values, "node.mailbox_bytes");
  out.stall_after = required<duration>(values, "node.stall_after");
  out.application = app.name;
  out.version = app.version;
  out.offers = std::move(app.offers);
  if (cookie) {
    if (auto legal = bus::check_cookie(*cookie); !legal) {
      return error(errc::bad_argument, "--cookie: " + legal.error().text());
    }
    out.cookie = std::move(*cookie);
    return out;
  }
  std::string file = required<std::string>(values, "node.cookie_file");
  // Without a cookie only the control key opens this node: tools of this host, which is all that one node needs.
  const bool needed = out.distribution || !file.empty();  // or asked for
  auto named = file.empty() ? std::nullopt : std::optional(std::move(file));
  if (const auto missing = missing_release_cookie(); missing && !named && !secrets.cookie && out.distribution) {
    return error(errc::not_found,
                 *missing +
                     " is missing, the cookie of this release: copy it from where the release was built, or set "
                     "RELEASE_COOKIE, RELEASE_COOKIE_FILE or RELEASE_DISTRIBUTION=none");
  }
  auto found = out.distribution ? find_or_make_cookie(named, secrets.cookie) : find_cookie(named, secrets.cookie);
  if (!found && !needed) return out;
  if (!found) return found.error();
  out.cookie = std::move(*found);
  return out;
}

}  // namespace troupe::internal
