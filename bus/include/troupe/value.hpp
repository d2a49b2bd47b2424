#pragma once
// A dynamic value: what a message looks like to Lua, to a trace, to a client in another language.
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <troupe/ids.hpp>

namespace troupe {

class value;
using list = std::vector<value>;
using map_entry = std::pair<value, value>;
// In the order it was written or received; keys are any value. Lookup is linear: these are messages, not databases.
using map = std::vector<map_entry>;
using bytes = std::vector<std::byte>;

// An extension that this version does not know: kept and passed on as it came.
struct extension {
  std::int8_t type = 0;
  bytes data;
  friend bool operator==(const extension&, const extension&) = default;
};

// Value type, copies deeply. Integers and floats stay apart: 1 and 1.0 are different values. An integer above INT64_MAX
// is held as uint64, every other as int64, so that equal numbers compare equal. Maps compare with their order.
// Copying, comparing, encoding and destroying recurse: decoders keep the nesting under `limits::depth`; whoever nests
// deeper by hand makes values that no peer accepts, and, at tens of thousands of levels, spends the stack.
class value {
 public:
  enum class kind : std::uint8_t {
    nil,
    boolean,
    integer,
    unsigned_integer,
    real,
    text,
    bytes,
    list,
    map,
    pid,
    ref,
    ext
  };

  value() noexcept = default;
  value(std::nullptr_t) noexcept {}
  value(bool b) noexcept : data_(b) {}
  template <class I>
    requires(std::is_integral_v<I> && !std::is_same_v<I, bool> && !std::is_same_v<I, char>)
  value(I number) noexcept {
    if constexpr (std::is_unsigned_v<I>) {
      if (number > static_cast<std::uint64_t>(INT64_MAX)) {
        data_.emplace<std::uint64_t>(number);
        return;
      }
    }
    data_.emplace<std::int64_t>(static_cast<std::int64_t>(number));
  }
  value(double number) noexcept : data_(number) {}
  value(const char* text) : data_(std::string(text)) {}
  value(std::string_view text) : data_(std::string(text)) {}
  value(std::string text) noexcept : data_(std::move(text)) {}
  value(troupe::bytes data) noexcept : data_(std::move(data)) {}
  value(troupe::list items) noexcept;
  value(troupe::map entries) noexcept;
  value(troupe::pid p) noexcept : data_(p) {}
  value(troupe::ref r) noexcept : data_(r) {}
  value(extension e) noexcept : data_(std::move(e)) {}
  value(const value&);
  value(value&&) noexcept;
  value& operator=(const value&);
  value& operator=(value&&) noexcept;
  ~value();

  [[nodiscard]] kind type() const noexcept { return static_cast<kind>(data_.index()); }
  [[nodiscard]] bool is_nil() const noexcept { return type() == kind::nil; }

  // The content when the value has that type, else nullptr.
  [[nodiscard]] const bool* boolean() const noexcept { return std::get_if<bool>(&data_); }
  [[nodiscard]] const std::int64_t* integer() const noexcept { return std::get_if<std::int64_t>(&data_); }
  [[nodiscard]] const std::uint64_t* unsigned_integer() const noexcept { return std::get_if<std::uint64_t>(&data_); }
  [[nodiscard]] const double* real() const noexcept { return std::get_if<double>(&data_); }
  [[nodiscard]] const std::string* text() const noexcept { return std::get_if<std::string>(&data_); }
  [[nodiscard]] const troupe::bytes* binary() const noexcept { return std::get_if<troupe::bytes>(&data_); }
  [[nodiscard]] const troupe::list* items() const noexcept { return std::get_if<troupe::list>(&data_); }
  [[nodiscard]] const troupe::map* entries() const noexcept { return std::get_if<troupe::map>(&data_); }
  [[nodiscard]] const troupe::pid* process() const noexcept { return std::get_if<troupe::pid>(&data_); }
  [[nodiscard]] const troupe::ref* reference() const noexcept { return std::get_if<troupe::ref>(&data_); }
  [[nodiscard]] const extension* ext() const noexcept { return std::get_if<extension>(&data_); }
  [[nodiscard]] troupe::list* items() noexcept { return std::get_if<troupe::list>(&data_); }
  [[nodiscard]] troupe::map* entries() noexcept { return std::get_if<troupe::map>(&data_); }

  // Integer or real as a double; nothing for other types.
  [[nodiscard]] std::optional<double> number() const noexcept;
  // The entry of a map under a text key, else nullptr.
  [[nodiscard]] const value* find(std::string_view key) const noexcept;
  // The text under `key`, or `otherwise` when it is missing or no text. For reading replies of our own functions.
  [[nodiscard]] std::string_view text_at(std::string_view key, std::string_view otherwise = {}) const noexcept;
  [[nodiscard]] std::int64_t integer_at(std::string_view key, std::int64_t otherwise = 0) const noexcept;

  // One line as Lua would read it back: {"hi", 5, name = "x"}; pids print as <..>. Deeper than `depth` or longer than
  // `width` bytes is cut with "…", so that a hostile value cannot flood a terminal or a log.
  [[nodiscard]] std::string print(std::size_t depth = 16, std::size_t width = 4096) const;

  friend bool operator==(const value& a, const value& b) noexcept;

 private:
  std::variant<std::nullptr_t, bool, std::int64_t, std::uint64_t, double, std::string, troupe::bytes, troupe::list,
               troupe::map, troupe::pid, troupe::ref, extension>
      data_{nullptr};
};

[[nodiscard]] std::string_view to_string(value::kind kind) noexcept;  // "integer", "float", "text", …

// Out of the class, where `value` is complete: the containers need it.
inline value::value(const value&) = default;
inline value::value(value&&) noexcept = default;
inline value& value::operator=(const value&) = default;
inline value& value::operator=(value&&) noexcept = default;
inline value::~value() = default;
inline value::value(troupe::list items) noexcept : data_(std::move(items)) {}
inline value::value(troupe::map entries) noexcept : data_(std::move(entries)) {}

// map_of({{"a", 1}, {"b", "x"}}): never write the braces inside an await expression (GCC 12 refuses them).
[[nodiscard]] inline value map_of(std::initializer_list<std::pair<std::string_view, value>> entries) {
  map result;
  result.reserve(entries.size());
  for (auto& [key, item] : entries) result.emplace_back(value(key), item);
  return value(std::move(result));
}
[[nodiscard]] inline value list_of(std::initializer_list<value> items) { return value(list(items)); }

}  // namespace troupe
