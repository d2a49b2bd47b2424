#include "boot/config_sources.hpp"

#include <unistd.h>

#include <algorithm>
#include <filesystem>

namespace troupe::internal {
namespace {

constexpr const char* default_file = "config/config.toml";
constexpr std::string_view environment_variable = "TROUPE_ENV", file_variable = "TROUPE_CONFIG",
                           key_prefix = "TROUPE__";
constexpr std::string_view usual_environments[] = {"dev", "test", "prod"};

bool is_word(std::string_view text) {
  return !text.empty() &&
         std::ranges::all_of(text, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; });
}

bool is_there(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

// "TROUPE__EXERCISE__TICK" to "exercise.tick".
std::string key_of(std::string_view variable) {
  std::string out;
  for (std::size_t i = key_prefix.size(); i < variable.size(); ++i) {
    const char c = variable[i];
    if (c == '_' && i + 1 < variable.size() && variable[i + 1] == '_') {
      out += '.';
      ++i;
    } else {
      out += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
  }
  return out;
}

}  // namespace

config_sources find_config_sources(const parsed_options& given, const char* const* variables) {
  config_sources out;
  out.files = given.all("config");
  if (out.files.empty() && is_there(default_file)) out.files.emplace_back(default_file);
  for (; variables != nullptr && *variables != nullptr; ++variables) {
    const std::string_view one = *variables;
    const std::string_view name = one.substr(0, one.find('='));
    const std::string_view text = name.size() < one.size() ? one.substr(name.size() + 1) : std::string_view();
    if (name == environment_variable && !text.empty()) {
      out.environment = text;
      out.environment_said_by = name;
    } else if (name == file_variable) {
      out.runtime_file = text;
    } else if (name.starts_with(key_prefix)) {
      out.variables.emplace_back(one);
    }
  }
  std::ranges::sort(out.variables);
  if (given.has("env")) {
    out.environment = given.text("env");
    out.environment_said_by = "--env";
  }
  return out;
}

std::vector<std::string> secret_key_variables(const config_schema& schema, const char* const* variables) {
  std::vector<std::string> out;
  for (; variables != nullptr && *variables != nullptr; ++variables) {
    const std::string_view one = *variables;
    const std::string_view name = one.substr(0, one.find('='));
    if (!name.starts_with(key_prefix)) continue;
    const config_key* key = schema.find(key_of(name));
    if (key != nullptr && key->secret) out.emplace_back(name);
  }
  return out;
}

void read_config_variables(const config_sources& from, config_loader& into) {
  for (const std::string& variable : from.variables) {
    const std::size_t equals = std::min(variable.find('='), variable.size());
    const std::string said_by = variable.substr(0, equals);
    into.set(key_of(said_by), equals < variable.size() ? variable.substr(equals + 1) : std::string(), said_by);
  }
}

void read_config_sources(const config_sources& from, config_loader& into) {
  const std::string& name = from.environment;
  if (!is_word(name)) {
    into.problem(from.environment_said_by + ": \"" + name + "\" is no name of an environment: dev, test and prod are");
    return;
  }
  bool described = std::ranges::find(usual_environments, name) != std::end(usual_environments);
  std::string beside;
  for (const std::string& file : from.files) {
    into.file(file);
    const std::string overlay = (std::filesystem::path(file).parent_path() / (name + ".toml")).string();
    if (!is_there(overlay)) {
      beside += (beside.empty() ? "" : ", ") + overlay;
      continue;
    }
    described = true;
    into.file(overlay);
  }
  if (!described) {
    into.problem(from.environment_said_by + ": no file describes the environment \"" + name + "\"" +
                 (beside.empty() ? std::string() : " (" + beside + " is missing)") + "; dev, test and prod need none");
  }
  if (!from.runtime_file.empty()) into.file(from.runtime_file);
  read_config_variables(from, into);
  into.fix("node.environment", name, from.environment_said_by);
}

}  // namespace troupe::internal
