#include <troupe/trace.hpp>

#include "observe/log_text.hpp"

namespace troupe::trace {
namespace {

// f(1, "a") without the braces of the list.
std::string call_text(const value& arguments, const format_options& options) {
  std::string out;
  if (const list* items = arguments.items()) {
    for (const auto& item : *items) {
      if (!out.empty()) out += ", ";
      if (out.size() > options.width) return out + "…";
      out += item.print(options.depth, options.width);
    }
    return out;
  }
  return arguments.is_nil() ? out : arguments.print(options.depth, options.width);
}

std::string shown(const value& event, std::string_view key, const format_options& options) {
  const value* found = event.find(key);
  return found ? found->print(options.depth, options.width) : "nil";
}

// Names and pids stand bare.
std::string bare(const value& event, std::string_view key) {
  const value* found = event.find(key);
  if (!found) return "?";
  if (const auto* text = found->text()) return internal::escape_line(*text, 200);
  return found->print(2, 200);
}

std::string body(const value& event, const format_options& options) {
  const std::string_view kind = event.text_at("kind");
  if (kind == "receive") return "<- " + shown(event, "message", options);
  if (kind == "send") return bare(event, "to") + " ! " + shown(event, "message", options);
  if (kind == "call") {
    const value* arguments = event.find("arguments");
    if (const value* arity = event.find("arity")) return bare(event, "function") + "/" + arity->print();
    return bare(event, "function") + "(" + (arguments ? call_text(*arguments, options) : "") + ")";
  }
  if (kind == "return") {
    const value* arity = event.find("arity");
    return bare(event, "function") + (arity ? "/" + arity->print() : "") + " --> " + shown(event, "result", options);
  }
  if (kind == "spawn") return "spawned " + bare(event, "child") + " " + bare(event, "function");
  if (kind == "exit") return "exited " + shown(event, "reason", options);
  if (kind == "register") {
    const value* on = event.find("registered");
    return std::string(on && on->boolean() && *on->boolean() ? "registered " : "unregistered ") + bare(event, "as");
  }
  return event.print(options.depth, options.width);
}

}  // namespace

std::string format(const value& event, const format_options& options) {
  using clock = std::chrono::system_clock;
  const auto since = std::chrono::duration_cast<clock::duration>(std::chrono::nanoseconds(event.integer_at("time")));
  const std::string at = internal::format_time(clock::time_point(since), options.utc, 6).substr(11);
  return at + " " + bare(event, "pid") + " " + body(event, options);
}

}  // namespace troupe::trace
