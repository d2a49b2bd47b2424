#pragma once
// Processes of this node under keys of any kind, each with a value (Elixir's Registry).
//     troupe::keyed_registry rooms("chat.rooms", troupe::keyed_registry::unique);
//     supervise("chat").child(rooms.spec())                         // while this child lives, entries of the dead go
//     rooms.add(self, "lobby", map_of({{"topic", "all"}})).or_exit();
//     auto room = rooms.whereis("lobby");                           // optional<pid>
//     rooms.dispatch("lobby", [&](const troupe::keyed_registry::entry& one) { self.send(one.process, Hello()); });
// Reading takes a short lock and no message. A process belongs to the node; keys are seen on this node alone.
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <troupe/supervisor.hpp>

namespace troupe {

// A handle: copies share one registry. Thread-safe. Owner: whoever holds one; its child in the tree holds one too.
class keyed_registry {
 public:
  enum class keys : std::uint8_t { unique, duplicate };
  using enum keys;
  struct entry {
    value key;
    troupe::pid process;
    value content;
  };
  enum class event : std::uint8_t { registered, unregistered };

  explicit keyed_registry(std::string name, keys kind = keys::unique);
  [[nodiscard]] const std::string& name() const noexcept;
  [[nodiscard]] child_spec spec() const;  // its id and its registered name: `name`

  // The calling process under `key`, until it ends. errc::name_taken when the key is unique and held: the text is the
  // holder's pid. A unique key that this very process holds is taken too, as in Elixir.
  [[nodiscard]] result<void> add(process& self, value key, value content = {}) const;
  void remove(process& self, const value& key) const;  // all of its entries under that key
  void remove_match(process& self, const value& key, const value& content) const;
  // New content of this process's entry. errc::not_found; unsupported with duplicate keys.
  [[nodiscard]] result<value> update(process& self, const value& key,
                                     const std::function<value(const value&)>& change) const;

  [[nodiscard]] std::optional<pid> whereis(const value& key) const;  // of unique keys; the first of several
  [[nodiscard]] std::vector<entry> lookup(const value& key) const;   // of processes that live
  [[nodiscard]] std::vector<value> keys_of(pid process) const;
  [[nodiscard]] std::vector<value> values(const value& key, pid process) const;
  [[nodiscard]] std::vector<entry> select(const std::function<bool(const entry&)>& fits) const;
  [[nodiscard]] std::size_t count() const;
  // `use` with each entry of the key, outside of the lock. How many there were.
  std::size_t dispatch(const value& key, const std::function<void(const entry&)>& use) const;

  // Metadata of the registry itself.
  void meta(std::string key, value content) const;
  [[nodiscard]] std::optional<value> meta(std::string_view key) const;

  // These local names get {"register", registry, key, pid, value} and {"unregister", registry, key, pid} for each entry
  // that comes or goes from now on.
  void listen(std::string listener) const;

  struct table;

 private:
  std::shared_ptr<table> table_;
};

}  // namespace troupe
