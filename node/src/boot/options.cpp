#include "boot/options.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <charconv>

#include <troupe/config.hpp>

namespace troupe::internal {
namespace {

std::string long_name(const char* name) {
  std::string_view all(name);
  std::size_t dashes = all.find("--");
  return std::string(dashes == std::string_view::npos ? all : all.substr(dashes + 2));
}

// CLI11 takes -5 for an option (ours never begin with a digit) and takes [1,2] apart: such words are marked and pass.
constexpr char mark = '\x01';
bool would_be_misread(const std::string& word) {
  if (word.empty() || word[0] == '[') return !word.empty();
  return word.size() > 1 && word[0] == '-' &&
         ((word[1] >= '0' && word[1] <= '9') || (word[1] == '.' && word.size() > 2));
}

void unmark(std::string& word) {
  if (!word.empty() && word[0] == mark) word.erase(word.begin());
}

std::string no_value(const option_row& row, const std::string& given) {
  if (row.kind == takes::count) {
    std::uint32_t number = 0;
    auto [end, failed] = std::from_chars(given.data(), given.data() + given.size(), number);
    if (given.empty() || failed != std::errc() || end != given.data() + given.size()) {
      return "--" + long_name(row.name) + ": a whole number expected, not \"" + given + "\"";
    }
  }
  if (row.kind == takes::time) {
    auto time = parse_time(given);
    if (!time) return "--" + long_name(row.name) + ": " + time.error().text();
  }
  return {};
}

}  // namespace

int exit_code(const error& why) noexcept {
  switch (why.code()) {
    case errc::none: return exit_ok;
    case errc::noconnection: return exit_unreachable;
    case errc::timeout: return exit_timeout;
    case errc::not_allowed:
    case errc::bad_cookie:
    case errc::name_taken: return exit_refused;
    default: return exit_failed;
  }
}

bool parsed_options::has(std::string_view name) const noexcept { return values_.find(name) != values_.end(); }

std::string parsed_options::text(std::string_view name, std::string_view otherwise) const {
  const auto& given = all(name);
  return given.empty() ? std::string(otherwise) : given.back();
}

const std::vector<std::string>& parsed_options::all(std::string_view name) const noexcept {
  static const std::vector<std::string> none;
  auto at = values_.find(name);
  return at == values_.end() ? none : at->second;
}

std::int64_t parsed_options::count(std::string_view name, std::int64_t otherwise) const {
  const auto& given = all(name);
  return given.empty() ? otherwise : std::strtoll(given.back().c_str(), nullptr, 10);
}

duration parsed_options::time(std::string_view name, duration otherwise) const {
  const auto& given = all(name);
  return given.empty() ? otherwise : parse_time(given.back()).value_or(otherwise);
}

class option_parser {
 public:
  explicit option_parser(const command_table& table) : table_(table) {}

  parse_result parse(std::vector<std::string> words) {
    declare();
    bool literal = false;
    for (std::string& word : words) {
      literal = literal || word == "--";
      if (would_be_misread(word) && (!literal || word[0] == '[')) word.insert(word.begin(), mark);
    }
    std::reverse(words.begin(), words.end());  // CLI11 takes them from the back
    try {
      app_.parse(std::move(words));
    } catch (const CLI::ParseError& e) {
      return usage(e.what());
    }
    if (help_) return {std::nullopt, help_text(table_), exit_ok};
    return collect();
  }

 private:
  void declare() {
    app_.set_help_flag();
    app_.add_flag("-h,--help", help_);
    for (const option_row& row : table_.options) {
      CLI::Option* made = nullptr;
      if (row.kind == takes::nothing) {
        made = app_.add_flag(row.name, flags_[long_name(row.name)]);
      } else {
        made = app_.add_option(row.name, out_.values_[long_name(row.name)])->expected(1)->allow_extra_args(false);
        made->multi_option_policy(row.repeated ? CLI::MultiOptionPolicy::TakeAll : CLI::MultiOptionPolicy::TakeLast);
      }
      given_.emplace_back(&row, made);
    }
    // One list for CLI11, which would give all to the first; shared out below.
    app_.add_option("ARGUMENTS", arguments_)->expected(0, 1 << 20);
  }

  parse_result collect() {
    for (auto& [name, items] : out_.values_) {
      for (std::string& item : items) unmark(item);
    }
    for (std::string& item : arguments_) unmark(item);
    for (auto [row, option] : given_) {
      std::string name = long_name(row->name);
      if (option->count() == 0) {
        if (row->required) return usage("--" + name + " is missing");
        out_.values_.erase(name);
        continue;
      }
      auto& items = out_.values_[name];  // a flag has an entry, empty
      for (const std::string& item : items) {
        if (std::string wrong = no_value(*row, item); !wrong.empty()) return usage(wrong);
      }
    }
    std::size_t next = 0;
    for (const argument_row& row : table_.arguments) {
      std::size_t count = row.repeated ? arguments_.size() - next : std::min<std::size_t>(1, arguments_.size() - next);
      if (row.required && count == 0) return usage(std::string(row.name) + " is missing");
      if (count == 0) continue;
      auto from = arguments_.begin() + static_cast<std::ptrdiff_t>(next);
      out_.values_[row.name].assign(from, from + static_cast<std::ptrdiff_t>(count));
      next += count;
    }
    if (next < arguments_.size()) return usage("not understood: " + arguments_[next]);
    return {std::move(out_), {}, exit_ok};
  }

  [[nodiscard]] parse_result usage(std::string complaint) const {
    std::erase(complaint, mark);
    // CLI11 speaks of its own terms and names an unknown option as the last thing it met.
    if (complaint.starts_with("The following arguments were not expected: ")) {
      complaint = "not understood: " + complaint.substr(43);
    } else if (complaint.starts_with("The following argument was not expected: ")) {
      complaint = "not understood: " + complaint.substr(41);
    }
    return {std::nullopt,
            table_.name + ": " + complaint + "\nusage: " + usage_line(table_) + "\n`" + table_.name +
                " --help` says more.\n",
            exit_usage};
  }

  const command_table& table_;
  CLI::App app_;
  bool help_ = false;
  parsed_options out_;
  std::map<std::string, bool> flags_;
  std::vector<std::pair<const option_row*, CLI::Option*>> given_;
  std::vector<std::string> arguments_;
};

parse_result parse_command(const command_table& table, std::vector<std::string> words) {
  return option_parser(table).parse(std::move(words));
}

std::string usage_line(const command_table& table) {
  std::string line = table.name;
  for (const option_row& row : table.options) {
    if (row.required) line += " --" + long_name(row.name) + " " + row.value;
  }
  bool any =
      std::any_of(table.options.begin(), table.options.end(), [](const option_row& row) { return !row.required; });
  if (any) line += " [OPTIONS]";
  for (const argument_row& row : table.arguments) {
    std::string word = row.name;
    if (row.repeated) word += "...";
    line += row.required ? " " + word : " [" + word + "]";
  }
  return line;
}

std::string help_text(const command_table& table) {
  std::string out = table.summary + "\n\nusage: " + usage_line(table) + "\n";
  std::vector<std::pair<std::string, std::string>> rows;
  for (const argument_row& row : table.arguments) rows.emplace_back(row.name, row.help);
  for (const option_row& row : table.options) {
    std::string left = row.name;
    std::size_t comma = left.find(',');
    if (comma == std::string::npos) left = "    " + left;
    else left.insert(comma + 1, " ");
    if (row.kind != takes::nothing) left += std::string(" ") + row.value;
    rows.emplace_back(left, std::string(row.help) + (row.repeated ? " (may be given again)" : ""));
  }
  rows.emplace_back("-h, --help", "this text");
  std::size_t width = 0;
  for (const auto& [left, right] : rows) width = std::max(width, left.size());
  out += "\n";
  for (const auto& [left, right] : rows) out += "  " + left + std::string(width - left.size() + 2, ' ') + right + "\n";
  if (!table.notes.empty()) out += "\n" + table.notes + "\n";
  if (!table.example.empty()) {
    out += "\nExample:\n";
    for (std::size_t at = 0; at < table.example.size();) {
      std::size_t end = std::min(table.example.find('\n', at), table.example.size());
      out += "  " + table.example.substr(at, end - at) + "\n";
      at = end + 1;
    }
  }
  return out;
}

}  // namespace troupe::internal
