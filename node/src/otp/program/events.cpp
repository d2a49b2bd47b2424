#include <signal.h>
#include <string.h>

#include <troupe/utf8.hpp>

#include "otp/program/flow.hpp"

namespace troupe {
namespace {

std::string signal_name(std::int64_t number) {
  const char* name = ::sigabbrev_np(static_cast<int>(number));
  return name ? "SIG" + std::string(name) : "signal " + std::to_string(number);
}

value text_or_bytes(const std::string& data) {
  if (is_utf8(data)) return value(data);
  const auto* at = reinterpret_cast<const std::byte*>(data.data());
  return value(bytes(at, at + data.size()));
}

bool read_data(const value& from, std::string& out) {
  if (const std::string* text = from.text()) {
    out = *text;
  } else if (const bytes* data = from.binary()) {
    out.assign(reinterpret_cast<const char*>(data->data()), data->size());
  } else {
    return false;
  }
  return true;
}

// {port, {word, …}}
const list* read_event(const value& from, pid& program) {
  const list* outer = from.items();
  if (!outer || outer->size() != 2 || !(*outer)[0].process()) return nullptr;
  program = *(*outer)[0].process();
  const list* inner = (*outer)[1].items();
  return inner && inner->size() >= 2 && (*inner)[0].text() ? inner : nullptr;
}

bool read_output(const list& inner, program_output& out) {
  const std::string& word = *inner[0].text();
  if ((word != "data" && word != "stderr") || inner.size() > 3) return false;
  out.errors = word == "stderr";
  out.dropped = 0;
  if (inner.size() == 3) {
    if (!inner[2].integer() || *inner[2].integer() < 0) return false;
    out.dropped = static_cast<std::uint64_t>(*inner[2].integer());
  }
  const list* line = inner[1].items();
  out.chunk = line == nullptr;
  if (out.chunk) return read_data(inner[1], out.data);
  if (line->size() != 2 || !(*line)[0].text()) return false;
  out.eol = *(*line)[0].text() == "eol";
  return (out.eol || *(*line)[0].text() == "noeol") && read_data((*line)[1], out.data);
}

}  // namespace

std::string program_ended::text() const {
  return signal != 0 ? signal_name(signal) : "status " + std::to_string(status);
}

void codec<program_output>::put(writer& w, const program_output& in) {
  value data = text_or_bytes(in.data);
  list inner;
  inner.emplace_back(in.errors ? "stderr" : "data");
  inner.push_back(in.chunk ? std::move(data) : list_of({in.eol ? "eol" : "noeol", std::move(data)}));
  if (in.dropped > 0) inner.emplace_back(in.dropped);
  w.put_value(list_of({in.program, value(std::move(inner))}));
}

bool codec<program_output>::take(reader& r, program_output& out) {
  value all;
  if (!r.read_value(all)) return false;
  const list* inner = read_event(all, out.program);
  return (inner && read_output(*inner, out)) || r.fail("the output of a program expected");
}

void codec<program_ended>::put(writer& w, const program_ended& in) {
  value event = in.signal != 0 ? list_of({"exit_status", 128 + in.signal, signal_name(in.signal)})
                               : list_of({"exit_status", in.status});
  w.put_value(list_of({in.program, std::move(event)}));
}

bool codec<program_ended>::take(reader& r, program_ended& out) {
  value all;
  if (!r.read_value(all)) return false;
  const list* inner = read_event(all, out.program);
  if (!inner || *(*inner)[0].text() != "exit_status" || !(*inner)[1].integer())
    return r.fail("the end of a program expected");
  out.status = *(*inner)[1].integer();
  out.signal = 0;
  if (inner->size() == 3) {
    out.signal = out.status - 128;
    out.status = 0;
  }
  return true;
}

// -- what counts what is on its way

namespace detail {

void program_credit::take(std::shared_ptr<program_flow> from) noexcept {
  flow_ = std::move(from);
  flow_->waiting.fetch_add(1);
}

program_credit::~program_credit() {
  if (!flow_) return;
  const std::size_t left = flow_->waiting.fetch_sub(1) - 1;
  if (left <= flow_->enough_below && flow_->asked.exchange(false)) flow_->wake();
}

}  // namespace detail
}  // namespace troupe
