#include "value_codec.hpp"

#include <troupe/codec.hpp>

namespace troupe {
namespace {

// Builds a tree. Containers fill up from the inside, so a slot stays where it is while something is put into it.
class tree_writer final : public writer {
 public:
  explicit tree_writer(value& out) : root_(out) {}

  void put_nil() override { slot() = value(); }
  void put_bool(bool b) override { slot() = value(b); }
  void put_int(std::int64_t number) override { slot() = value(number); }
  void put_uint(std::uint64_t number) override { slot() = value(number); }
  void put_real(double number) override { slot() = value(number); }
  void put_text(std::string_view text) override { slot() = value(text); }
  void put_bytes(std::span<const std::byte> data) override { slot() = value(bytes(data.begin(), data.end())); }
  void put_pid(pid p) override { slot() = value(p); }
  void put_ref(ref r) override { slot() = value(r); }
  void put_ext(std::int8_t type, std::span<const std::byte> data) override {
    slot() = value(extension{type, bytes(data.begin(), data.end())});
  }
  void put_value(const value& v) override { slot() = v; }

  void begin_list(std::size_t items) override {
    value& made = slot();
    made = value(list{});
    made.items()->reserve(items);
    if (items > 0) open_.push_back({&made, items, false});
  }
  void begin_map(std::size_t entries) override {
    value& made = slot();
    made = value(map{});
    made.entries()->reserve(entries);
    if (entries > 0) open_.push_back({&made, entries, false});
  }

 private:
  struct container {
    value* made;
    std::size_t left;  // items or entries still to be begun
    bool key_put;      // of a map: the next one is the value of its last entry
  };

  // Where the next value belongs; containers that are full are left here.
  value& slot() {
    while (!open_.empty() && open_.back().left == 0 && !open_.back().key_put) open_.pop_back();
    if (open_.empty()) return root_;
    container& top = open_.back();
    if (list* items = top.made->items()) {
      --top.left;
      return items->emplace_back();
    }
    map& entries = *top.made->entries();
    if (top.key_put) {
      top.key_put = false;
      return entries.back().second;
    }
    --top.left;
    top.key_put = true;
    return entries.emplace_back().first;
  }

  value& root_;
  std::vector<container> open_;
};

// Walks a tree. As on the wire, a container that has ended is left with the next value.
class tree_reader final : public reader {
 public:
  explicit tree_reader(const value& in) : root_(&in) {}

  value::kind peek() override {
    const value* v = next();
    return v ? v->type() : value::kind::nil;
  }
  bool read_nil() override {
    const value* v = next();
    return v && v->is_nil() ? took() : wrong("nil");
  }
  bool read_bool(bool& out) override { return take(out, &value::boolean, "boolean"); }
  bool read_int(std::int64_t& out) override {
    const value* v = next();
    if (v && v->unsigned_integer()) return fail("integer beyond 2^63-1");
    return take(out, &value::integer, "integer");
  }
  bool read_uint(std::uint64_t& out) override {
    const value* v = next();
    if (auto* number = v ? v->integer() : nullptr) {
      if (*number < 0) return fail("negative integer where none is allowed");
      out = static_cast<std::uint64_t>(*number);
      return took();
    }
    return take(out, &value::unsigned_integer, "integer");
  }
  bool read_real(double& out) override { return take(out, &value::real, "float"); }
  bool read_text(std::string_view& out) override { return take(out, &value::text, "text"); }
  bool read_bytes(std::span<const std::byte>& out) override { return take(out, &value::binary, "bytes"); }
  bool read_pid(pid& out) override { return take(out, &value::process, "pid"); }
  bool read_ref(ref& out) override { return take(out, &value::reference, "ref"); }
  bool read_ext(std::int8_t& type, std::span<const std::byte>& data) override {
    const value* v = next();
    const extension* e = v ? v->ext() : nullptr;
    if (!e) return wrong("extension");
    type = e->type;
    data = e->data;
    return took();
  }
  bool begin_list(std::size_t& items) override {
    const value* v = next();
    const list* content = v ? v->items() : nullptr;
    if (!content) return wrong("list");
    items = content->size();
    took();
    if (items > 0) open_.push_back({v, 0, items});
    return true;
  }
  bool begin_map(std::size_t& entries) override {
    const value* v = next();
    const map* content = v ? v->entries() : nullptr;
    if (!content) return wrong("map");
    entries = content->size();
    took();
    if (entries > 0) open_.push_back({v, 0, 2 * entries});
    return true;
  }
  bool skip() override { return next() ? took() : wrong("a value"); }
  bool read_value(value& out) override {
    const value* v = next();
    if (!v) return wrong("a value");
    out = *v;
    return took();
  }

 private:
  struct container {
    const value* content;
    std::size_t at;
    std::size_t size;  // of a map: keys and values
  };

  const value* next() {
    if (!ok()) return nullptr;
    while (!open_.empty() && open_.back().at == open_.back().size) open_.pop_back();
    if (open_.empty()) return root_;
    const container& top = open_.back();
    if (const list* items = top.content->items()) return &(*items)[top.at];
    const map_entry& entry = (*top.content->entries())[top.at / 2];
    return top.at % 2 == 0 ? &entry.first : &entry.second;
  }

  bool took() {
    if (open_.empty()) root_ = nullptr;
    else ++open_.back().at;
    return true;
  }

  bool wrong(std::string_view expected) {
    if (ok() && !next()) return fail(std::string(expected) + " expected after the end of the value");
    return mismatch(expected);
  }

  template <class Out, class Content>
  bool take(Out& out, const Content* (value::*content)() const noexcept, std::string_view expected) {
    const value* v = next();
    const Content* found = v ? (v->*content)() : nullptr;
    if (!found) return wrong(expected);
    out = *found;
    return took();
  }

  const value* root_;  // nullptr once it is read
  std::vector<container> open_;
};

}  // namespace

std::unique_ptr<writer> value_writer(value& out) { return std::make_unique<tree_writer>(out); }
std::unique_ptr<reader> value_reader(const value& in) { return std::make_unique<tree_reader>(in); }

}  // namespace troupe
