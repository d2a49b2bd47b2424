#include <algorithm>
#include <set>

#include <troupe/release.hpp>

#include "boot/toml.hpp"
#include "names.hpp"

namespace troupe::release {
namespace {

namespace fs = std::filesystem;
using internal::toml_entry;

constexpr std::string_view keys = "version, executable, node, config and environment";

class manifest_reader {
 public:
  manifest_reader(const fs::path& file, std::string_view wanted) : file_(file), wanted_(wanted) {}

  result<manifest> read() {
    auto entries = internal::read_toml(file_.string());
    if (!entries) return entries.error();
    for (const toml_entry& entry : *entries) {
      if (auto taken = collect(entry); !taken) return taken.error();
    }
    auto name = choose();
    if (!name) return name.error();
    out_.file = fs::absolute(file_).lexically_normal();
    out_.name = *name;
    out_.node = *name;
    for (const toml_entry& entry : *entries) {
      std::string prefix = "releases." + *name + ".";
      if (!entry.path.starts_with(prefix)) continue;
      if (auto set = assign(entry, std::string_view(entry.path).substr(prefix.size())); !set) return set.error();
    }
    return std::move(out_);
  }

 private:
  [[nodiscard]] error wrong(const toml_entry& at, const std::string& what) const {
    return error(errc::bad_config, file_.string() + ":" + std::to_string(at.line) + ": " + what);
  }

  // Names of releases, and everything that is no key of one.
  result<void> collect(const toml_entry& entry) {
    if (entry.path == "default_release" && entry.content.text()) {
      default_ = *entry.content.text();
      return {};
    }
    std::string_view path = entry.path;
    if (!path.starts_with("releases.")) {
      return wrong(entry, entry.path + ": no such key; a release is a table [releases.NAME] with " + std::string(keys));
    }
    path.remove_prefix(9);
    std::string name(path.substr(0, path.find('.')));
    if (!internal::is_release_name(name)) {
      return wrong(entry,
                   "\"" + name + "\" is no name of a release: a lower-case letter, then such letters, digits and '_'");
    }
    if (name.size() == path.size() && !entry.empty_table) {
      return wrong(entry, entry.path + ": a release is a table [" + entry.path + "] with " + std::string(keys));
    }
    names_.insert(name);
    return {};
  }

  result<std::string> choose() const {
    std::string all;
    for (const std::string& name : names_) all += (all.empty() ? "" : ", ") + name;
    if (names_.empty())
      return error(errc::bad_config, file_.string() + ": it describes no release: [releases.NAME] is missing");
    std::string name = !wanted_.empty() ? std::string(wanted_) : default_;
    if (name.empty() && names_.size() == 1) return *names_.begin();
    if (name.empty()) return error(errc::bad_config, file_.string() + ": which of its releases? It has " + all);
    if (!names_.contains(name))
      return error(errc::not_found, file_.string() + ": no release \"" + name + "\"; it has " + all);
    return name;
  }

  result<void> assign(const toml_entry& entry, std::string_view key) {
    const std::string* text = entry.content.text();
    if (key != "version" && key != "executable" && key != "node" && key != "config" && key != "environment") {
      return wrong(entry, entry.path + ": no such key; a release has " + std::string(keys));
    }
    if (!text || text->empty()) return wrong(entry, entry.path + ": a text expected, such as \"0.1.0\" or \"config\"");
    fs::path here = fs::absolute(file_).parent_path();
    if (key == "version") out_.version = *text;
    if (key == "node") out_.node = *text;
    if (key == "executable") out_.executable = (here / *text).lexically_normal();
    if (key == "config") out_.config = (here / *text).lexically_normal();
    if (key == "environment") out_.environment = (here / *text).lexically_normal();
    if (key == "version" && !internal::is_version(*text)) return wrong(entry, internal::no_version(*text));
    if (key == "node" && !internal::is_node_part(*text)) {
      return wrong(entry, "\"" + *text + "\" is no node's name: letters, digits, '_' and '-', without a host");
    }
    return {};
  }

  const fs::path& file_;
  std::string_view wanted_;
  std::string default_;
  std::set<std::string> names_;
  manifest out_;
};

}  // namespace

result<manifest> read_manifest(const fs::path& file, std::string_view name) {
  return manifest_reader(file, name).read();
}

}  // namespace troupe::release
