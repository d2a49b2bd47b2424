#include "observe/log_text.hpp"

#include "observe/json.hpp"

#include <algorithm>
#include <cctype>
#include <ctime>

#include <troupe/utf8.hpp>

namespace troupe::internal {
namespace {

// A text stands bare when no reader could take it for something else.
bool is_plain(std::string_view text) {
  return !text.empty() && text.size() < 200 &&
         std::all_of(
             text.begin(), text.end(),
             [](unsigned char c) {
               return std::isalnum(c) || c == '.' || c == '_' || c == '-' || c == '@' || c == '/' || c == ':' ||
                      c == '+';
             });
}

std::string field_text(const value& item, const log_form& form) {
  if (const auto* text = item.text(); text && is_plain(*text)) return *text;
  return item.print(form.depth, form.width);
}

std::string key_text(const value& key) {
  if (const auto* text = key.text(); text && is_plain(*text)) return *text;
  return key.print(2, 64);
}

// The first `most` bytes at the most, which end between two characters.
std::string_view beginning(std::string_view text, std::size_t most) {
  if (text.size() <= most) return text;
  std::size_t end = most;
  // The rest of a character has three bytes at the most; what is longer is none.
  while (end > 0 && most - end < 3 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return text.substr(0, (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80 ? most : end);
}

value cut_fields(const map& fields, const log_form& form);

// The same limits for JSON: a text too long is cut, a list or map too large or deep becomes its printed beginning.
value cut(const value& item, const log_form& form) {
  if (const auto* text = item.text())
    return text->size() <= form.width ? item : value(std::string(beginning(*text, form.width)) + "…");
  if (item.binary() || item.items() || item.entries() || item.ext()) {
    std::string shown = to_json(item, -1, form.depth);
    if (shown.size() > form.width) return value(item.print(form.depth, form.width));
  }
  return item;
}

value cut_fields(const map& fields, const log_form& form) {
  map out;
  out.reserve(fields.size());
  for (const auto& [key, item] : fields) out.emplace_back(key, cut(item, form));
  return value(std::move(out));
}

}  // namespace

std::string format_time(std::chrono::system_clock::time_point at, bool utc, int precision) {
  using namespace std::chrono;
  const auto since = duration_cast<nanoseconds>(at.time_since_epoch()).count();
  constexpr std::int64_t second = 1'000'000'000;
  std::int64_t fraction = since % second;
  if (fraction < 0) fraction += second;
  const std::time_t seconds = static_cast<std::time_t>((since - fraction) / second);
  std::tm parts{};
  if (utc) gmtime_r(&seconds, &parts);
  else localtime_r(&seconds, &parts);
  char text[64];
  const std::size_t size = std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &parts);
  std::string out(text, size);
  std::string digits = std::to_string(fraction);
  digits.insert(0, 9 - digits.size(), '0');
  return out + '.' + digits.substr(0, static_cast<std::size_t>(precision));
}

std::string escape_line(std::string_view text, std::size_t width) {
  const std::string_view shown = beginning(text, width);
  std::string out = for_terminal(shown);
  for (std::size_t at = out.find('\n'); at != std::string::npos; at = out.find('\n', at + 1))
    out.insert(at + 1, 4, ' ');
  if (shown.size() < text.size()) out += "…";
  return out;
}

std::string text_line(const log_event& event, const log_form& form) {
  std::string out = format_time(event.at, form.utc, 3);
  out += " [";
  out += to_string(event.level);
  out += "] ";
  out += escape_line(event.message, form.width);
  const auto report = std::find_if(event.fields.begin(), event.fields.end(), [](const map_entry& field) {
    const auto* key = field.first.text();
    return key && *key == "report";
  });
  const bool many_lines = report != event.fields.end() && report->second != value("progress");
  for (const auto& [key, item] : event.fields) {
    if (many_lines && &key == &report->first) continue;  // the message says it
    if (many_lines && (item.is_nil() || item == value("") || item == value(list{}))) continue;
    out += many_lines ? "\n    " : " ";
    out += key_text(key);
    out += many_lines ? ": " : "=";
    out += field_text(item, form);
  }
  return for_terminal(out);  // last of all, so that nothing gets past it
}

std::string json_line(const log_event& event, const log_form& form) {
  std::string at = format_time(event.at, true, 3);
  at[10] = 'T';
  at += 'Z';
  const value message(cut(value(event.message), form));
  return to_json(map_of({{"time", value(std::move(at))},
                         {"level", value(to_string(event.level))},
                         {"message", message},
                         {"fields", cut_fields(event.fields, form)}}),
                 -1, form.depth + 2);
}

}  // namespace troupe::internal
