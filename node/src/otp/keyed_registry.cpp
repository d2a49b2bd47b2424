// Design notes
// * The table is shared memory under one mutex, so that a look-up costs no message. A server, the registry's child in
//   the tree, monitors whoever has an entry, and removes what a dead one had. Between an end and that, entries of the
//   dead are skipped by whoever reads, and a unique key is given to the next who asks.
// * When the server ends the table stays; the next one monitors everybody anew.
// * Who has no handle, a shell or another node, asks the server by its name: the calls "registry.*" below. It registers
//   whoever asks, which is a process of this node.
#include <troupe/keyed_registry.hpp>

#include <algorithm>
#include <map>
#include <mutex>
#include <set>

#include <troupe/expect.hpp>
#include <troupe/node.hpp>

namespace troupe {
namespace {

// To the registry's server: somebody has an entry. Stays inside the node.
struct watch_process {
  pid process;
  TROUPE_MESSAGE(watch_process, "registry.watch", process)
};

// -- calls, also from Lua. Each reply is what the function of that name gives; entries are {key, pid, value}.
struct ask_register {
  value key, content;
  TROUPE_MESSAGE(ask_register, "registry.register", key, content)
};
struct ask_unregister {  // matching: only entries with this content
  value key, content;
  bool matching = false;
  TROUPE_MESSAGE(ask_unregister, "registry.unregister", key, content, matching)
};
struct ask_update {  // -> {new, old}, of the caller's own entry
  value key, content;
  TROUPE_MESSAGE(ask_update, "registry.update", key, content)
};
struct ask_lookup {
  value key;
  TROUPE_MESSAGE(ask_lookup, "registry.lookup", key)
};
struct ask_keys {
  pid process;
  TROUPE_MESSAGE(ask_keys, "registry.keys", process)
};
struct ask_select {
  TROUPE_MESSAGE(ask_select, "registry.select")
};
struct ask_count {
  TROUPE_MESSAGE(ask_count, "registry.count")
};
struct ask_put_meta {
  std::string key;
  value content;
  TROUPE_MESSAGE(ask_put_meta, "registry.put_meta", key, content)
};
struct ask_meta {
  std::string key;
  TROUPE_MESSAGE(ask_meta, "registry.meta", key)
};

}  // namespace

struct keyed_registry::table {
  table(std::string name_given, keys kind_given) : name(std::move(name_given)), kind(kind_given) {}

  const std::string name;
  const keys kind;
  mutable std::mutex mutex;
  std::map<std::string, std::vector<entry>, std::less<>> entries;  // by the key's text; in the order of their coming
  std::map<pid, std::set<std::string>> by_process;                 // the texts of its keys
  std::size_t count = 0;
  std::map<std::string, value, std::less<>> metadata;
  std::vector<std::string> listeners;
  pid server;
  const troupe::node* home = nullptr;  // while the server runs

  // What is shown, so that keys are listed in that order, and what tells apart values that look the same.
  [[nodiscard]] static std::string text_of(const value& key) {
    const bytes exact = to_wire(key);
    std::string out = key.print(100, static_cast<std::size_t>(-1)) + '\n';
    return out.append(reinterpret_cast<const char*>(exact.data()), exact.size());
  }

  // -- under the mutex
  [[nodiscard]] bool lives(pid process) const { return !home || home->exists(process); }
  void put_in(std::string text, entry added) {
    by_process[added.process].insert(text);
    entries[std::move(text)].push_back(std::move(added));
    ++count;
  }
  // What `fits` of those of this process under this key.
  template <class Fits>
  void take_out(const std::string& text, pid process, Fits fits, std::vector<entry>& out) {
    const auto found = entries.find(text);
    if (found == entries.end()) return;
    std::vector<entry>& all = found->second;
    auto gone = std::stable_partition(all.begin(), all.end(),
                                      [&](const entry& one) { return one.process != process || !fits(one); });
    const auto taken = static_cast<std::size_t>(all.end() - gone);
    TROUPE_EXPECT(count >= taken, "registry", name, "count", count, "taken", taken);
    count -= taken;
    std::move(gone, all.end(), std::back_inserter(out));
    all.erase(gone, all.end());
    const bool others = std::ranges::any_of(all, [&](const entry& one) { return one.process == process; });
    if (all.empty()) entries.erase(found);
    if (others) return;
    const auto keys = by_process.find(process);
    if (keys == by_process.end()) return;
    keys->second.erase(text);
    if (keys->second.empty()) by_process.erase(keys);
  }

  // All of what `fits` of that process's under that key, told to the listeners.
  template <class Fits>
  void remove(process& teller, pid who, const value& key, Fits fits) {
    std::vector<entry> removed;
    {
      std::lock_guard lock(mutex);
      take_out(text_of(key), who, fits, removed);
    }
    for (const entry& one : removed) tell(teller, event::unregistered, one);
  }
  [[nodiscard]] result<void> add(process& teller, entry added);
  [[nodiscard]] result<value> update(pid who, const value& key, const std::function<value(const value&)>& change) {
    if (kind != keys::unique) return error(errc::unsupported, "update is for unique keys");
    std::lock_guard lock(mutex);
    const auto found = entries.find(text_of(key));
    if (found == entries.end() || found->second.front().process != who)
      return error(errc::not_found, who.text() + " has no such key in " + name);
    value& content = found->second.front().content;
    content = change(content);
    return content;
  }

  void tell(process& self, event what, const entry& one) const {
    std::vector<std::string> to;
    {
      std::lock_guard lock(mutex);
      to = listeners;
    }
    for (const std::string& listener : to) {
      list content{value(what == event::registered ? "register" : "unregister"), value(name), one.key,
                   value(one.process)};
      if (what == event::registered) content.push_back(one.content);
      self.send(listener, value(std::move(content)));
    }
  }
};

result<void> keyed_registry::table::add(process& teller, entry added) {
  std::string text = text_of(added.key);
  std::vector<entry> dead;
  pid to_watch;
  {
    std::lock_guard lock(mutex);
    if (!server)
      return error(errc::noproc, "the registry " + name + " is not running: its spec() belongs into the tree");
    if (kind == keys::unique) {
      const auto held = entries.find(text);
      if (held != entries.end()) {
        const pid holder = held->second.front().process;
        if (lives(holder)) return error(errc::name_taken, holder.text());
        take_out(text, holder, [](const entry&) { return true; }, dead);  // its DOWN is under way
      }
    }
    if (!by_process.contains(added.process)) to_watch = server;
    put_in(std::move(text), added);
  }
  for (const entry& one : dead) tell(teller, event::unregistered, one);
  if (to_watch) teller.send(to_watch, watch_process(added.process));
  tell(teller, event::registered, added);
  return {};
}

namespace {

value shown(const keyed_registry::entry& one) {
  return map_of({{"key", one.key}, {"pid", one.process}, {"value", one.content}});
}
value shown(const std::vector<keyed_registry::entry>& all) {
  list out;
  for (const auto& one : all) out.push_back(shown(one));
  return value(std::move(out));
}

// The registry's child in the tree.
struct registry_server {
  static constexpr const char* entry = "registry";
  static constexpr bool refuses_strangers = true;
  using messages = handles<watch_process, ask_register, ask_unregister, ask_update, ask_lookup, ask_keys, ask_select,
                           ask_count, ask_put_meta, ask_meta>;

  registry_server(std::shared_ptr<keyed_registry::table> shared_given, keyed_registry all_given)
      : shared(std::move(shared_given)), all(std::move(all_given)) {}
  ~registry_server() {
    std::lock_guard lock(shared->mutex);
    if (shared->server != me) return;
    shared->server = pid();
    shared->home = nullptr;
  }
  void init(process& self) {
    me = self.id();
    std::vector<pid> known;
    {
      std::lock_guard lock(shared->mutex);
      shared->server = me;
      shared->home = &self.node();
      for (const auto& [one, keys] : shared->by_process) known.push_back(one);
    }
    for (const pid one : known) watch(self, one);
  }
  void watch(process& self, pid holder) {
    if (watched.insert(holder).second) self.monitor(holder);
  }
  // Who has no entry is not watched, nor anybody twice: whoever sends this, there are no more monitors than holders.
  void on(process& self, const watch_process& ask) {
    {
      std::lock_guard lock(shared->mutex);
      if (!shared->by_process.contains(ask.process)) return;
    }
    watch(self, ask.process);
  }
  void on_down(process& self, down& ended) {
    watched.erase(ended.process);
    std::vector<keyed_registry::entry> removed;
    {
      std::lock_guard lock(shared->mutex);
      const auto found = shared->by_process.find(ended.process);
      if (found == shared->by_process.end()) return;
      const std::set<std::string> keys = found->second;
      for (const std::string& key : keys)
        shared->take_out(key, ended.process, [](const auto&) { return true; }, removed);
    }
    for (const auto& one : removed) shared->tell(self, keyed_registry::event::unregistered, one);
  }

  // -- for those who have no handle
  result<value> on(process& self, const ask_register& ask, message& request) const {
    if (!request.is_call()) return value();
    if (!self.node().exists(request.from()))
      return error(errc::not_allowed, request.from().text() + " is no process of " + self.node().name() +
                                          ": a registry has those of its own node");
    auto done = shared->add(self, {ask.key, request.from(), ask.content});
    if (!done) return done.error();
    return value("ok");
  }
  value on(process& self, const ask_unregister& ask, message& request) const {
    shared->remove(self, request.from(), ask.key,
                   [&](const auto& one) { return !ask.matching || one.content == ask.content; });
    return "ok";
  }
  result<value> on(process&, const ask_update& ask, message& request) const {
    value old;
    auto done = shared->update(request.from(), ask.key, [&](const value& content) {
      old = content;
      return ask.content;
    });
    if (!done) return done.error();
    return list_of({ask.content, old});
  }
  value on(const ask_lookup& ask) const { return shown(all.lookup(ask.key)); }
  value on(const ask_keys& ask) const { return value(list(all.keys_of(ask.process))); }
  value on(const ask_select&) const {
    return shown(all.select([](const auto&) { return true; }));
  }
  std::int64_t on(const ask_count&) const { return static_cast<std::int64_t>(all.count()); }
  void on(const ask_put_meta& ask) const { all.meta(ask.key, ask.content); }
  result<value> on(const ask_meta& ask) const {
    auto found = all.meta(ask.key);
    if (!found) return error(errc::not_found, shared->name + " has no metadata \"" + ask.key + "\"");
    return std::move(*found);
  }

  [[nodiscard]] value state() const {
    std::lock_guard lock(shared->mutex);
    return map_of({{"name", shared->name},
                   {"keys", shared->kind == keyed_registry::unique ? "unique" : "duplicate"},
                   {"entries", shared->count}});
  }

  std::shared_ptr<keyed_registry::table> shared;
  keyed_registry all;
  pid me;
  std::set<pid> watched;
};

}  // namespace

keyed_registry::keyed_registry(std::string name, keys kind) : table_(std::make_shared<table>(std::move(name), kind)) {}

const std::string& keyed_registry::name() const noexcept { return table_->name; }

child_spec keyed_registry::spec() const {
  auto start = [shared = table_, all = *this](process& up) {
    return start_link<registry_server>(up, shared->name, shared, all);
  };
  return {.id = table_->name, .start = std::move(start)};
}

result<void> keyed_registry::add(process& self, value key, value content) const {
  return table_->add(self, {std::move(key), self.id(), std::move(content)});
}

void keyed_registry::remove(process& self, const value& key) const {
  table_->remove(self, self.id(), key, [](const entry&) { return true; });
}
void keyed_registry::remove_match(process& self, const value& key, const value& content) const {
  table_->remove(self, self.id(), key, [&](const entry& one) { return one.content == content; });
}

result<value> keyed_registry::update(process& self, const value& key,
                                     const std::function<value(const value&)>& change) const {
  return table_->update(self.id(), key, change);
}

std::optional<pid> keyed_registry::whereis(const value& key) const {
  const auto found = lookup(key);
  return found.empty() ? std::nullopt : std::optional(found.front().process);
}

std::vector<keyed_registry::entry> keyed_registry::lookup(const value& key) const {
  std::vector<entry> out;
  std::lock_guard lock(table_->mutex);
  const auto found = table_->entries.find(table::text_of(key));
  if (found == table_->entries.end()) return out;
  std::ranges::copy_if(found->second, std::back_inserter(out),
                       [this](const entry& one) { return table_->lives(one.process); });
  return out;
}

std::vector<value> keyed_registry::keys_of(pid process) const {
  std::vector<value> out;
  std::lock_guard lock(table_->mutex);
  const auto found = table_->by_process.find(process);
  if (found == table_->by_process.end() || !table_->lives(process)) return out;
  for (const std::string& text : found->second) {
    const auto held = table_->entries.find(text);
    TROUPE_EXPECT(held != table_->entries.end() && !held->second.empty(), "registry", table_->name, "key", text);
    out.push_back(held->second.front().key);
  }
  return out;
}

std::vector<value> keyed_registry::values(const value& key, pid process) const {
  std::vector<value> out;
  for (entry& one : lookup(key)) {
    if (one.process == process) out.push_back(std::move(one.content));
  }
  return out;
}

std::vector<keyed_registry::entry> keyed_registry::select(const std::function<bool(const entry&)>& fits) const {
  std::vector<entry> out;
  std::lock_guard lock(table_->mutex);
  for (const auto& [text, all] : table_->entries) {
    for (const entry& one : all) {
      if (table_->lives(one.process) && fits(one)) out.push_back(one);
    }
  }
  return out;
}

std::size_t keyed_registry::count() const {
  std::lock_guard lock(table_->mutex);
  return table_->count;
}

std::size_t keyed_registry::dispatch(const value& key, const std::function<void(const entry&)>& use) const {
  const std::vector<entry> all = lookup(key);
  for (const entry& one : all) use(one);
  return all.size();
}

void keyed_registry::meta(std::string key, value content) const {
  std::lock_guard lock(table_->mutex);
  table_->metadata.insert_or_assign(std::move(key), std::move(content));
}
std::optional<value> keyed_registry::meta(std::string_view key) const {
  std::lock_guard lock(table_->mutex);
  const auto found = table_->metadata.find(key);
  return found == table_->metadata.end() ? std::nullopt : std::optional(found->second);
}

void keyed_registry::listen(std::string listener) const {
  std::lock_guard lock(table_->mutex);
  if (std::ranges::find(table_->listeners, listener) == table_->listeners.end())
    table_->listeners.push_back(std::move(listener));
}

}  // namespace troupe
