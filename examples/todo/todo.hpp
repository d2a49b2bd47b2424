#pragma once
// To-do lists for the whole cluster: each person's list is one process on some node, found by a global name, member of
// a group; a sweep of all lists is done by one node at a time, under a lock.
#include <string>
#include <vector>

#include <troupe/application.hpp>
#include <troupe/server.hpp>

namespace todo {

struct Add {
  std::string item;
  using reply = std::uint64_t;
  TROUPE_MESSAGE(Add, "add", item)
};
struct Items {
  using reply = std::vector<std::string>;
  TROUPE_MESSAGE(Items, "items")
};
// To all lists: done items go.
struct Sweep {
  std::string what;  // items that are called so
  TROUPE_MESSAGE(Sweep, "sweep", what)
};

struct TodoList {
  using messages = troupe::handles<Add, Items, Sweep>;
  std::vector<std::string> items;
  TROUPE_FIELDS(TodoList, items)  // what `troupe state` shows

  void init(troupe::process& self);
  std::uint64_t on(const Add& add);
  std::vector<std::string> on(const Items&) const { return items; }
  void on(const Sweep& sweep) { std::erase(items, sweep.what); }
};

// What others call; on whatever node they are.
// The person's list, which is started here when there is none: where it is.
troupe::task<troupe::result<std::string>> open(troupe::process& self, std::string person);
troupe::task<troupe::result<std::uint64_t>> add(troupe::process& self, std::string person, std::string item);
troupe::task<troupe::result<std::vector<std::string>>> items(troupe::process& self, std::string person);
std::vector<std::string> people(troupe::process& self);
// Takes `what` off all lists, which one node does at a time; answers the fencing number under which it was done.
troupe::task<troupe::result<std::int64_t>> sweep(troupe::process& self, std::string what);

// All that `main` hands to troupe::run.
troupe::application program();

}  // namespace todo
