#include "todo.hpp"

#include <algorithm>

#include <troupe/call.hpp>
#include <troupe/dynamic_supervisor.hpp>
#include <troupe/global.hpp>
#include <troupe/group.hpp>
#include <troupe/lock.hpp>
#include <troupe/node.hpp>

namespace todo {
namespace {

using namespace std::chrono_literals;

constexpr const char* group_name = "todo_list";

// {"todo_list", "bob"}
troupe::global::name name_of(const std::string& person) {
  return troupe::global::name(troupe::list_of({group_name, person}));
}

}  // namespace

void TodoList::init(troupe::process& self) { troupe::group::join(self, group_name, self.id()).or_exit(); }

std::uint64_t TodoList::on(const Add& add) {
  items.push_back(add.item);
  return items.size();
}

troupe::task<troupe::result<std::string>> open(troupe::process& self, std::string person) {
  troupe::server_options options;
  options.name = name_of(person);
  auto opened = co_await troupe::start_server<TodoList>(self, options);
  const bool there = opened.what() == troupe::started::kind::already_started;
  if (!opened && !there) co_return troupe::error(troupe::errc::exited, opened.text());
  co_return std::string(opened.process().node());
}

troupe::task<troupe::result<std::uint64_t>> add(troupe::process& self, std::string person, std::string item) {
  const auto list = name_of(person);
  auto count = co_await troupe::call(self, list, Add(std::move(item)));
  co_return count;
}

troupe::task<troupe::result<std::vector<std::string>>> items(troupe::process& self, std::string person) {
  const auto list = name_of(person);
  auto found = co_await troupe::call(self, list, Items());
  co_return found;
}

std::vector<std::string> people(troupe::process& self) {
  std::vector<std::string> out;
  for (const auto& [name, holder] : troupe::global::registered_names(self)) {
    const troupe::list* parts = name.items();
    if (parts && parts->size() == 2 && (*parts)[0] == troupe::value(group_name)) out.push_back(*(*parts)[1].text());
  }
  std::ranges::sort(out);
  return out;
}

troupe::task<troupe::result<std::int64_t>> sweep(troupe::process& self, std::string what) {
  auto asking = troupe::lock::acquire(self, "todo.sweep", 5s);
  auto mine = co_await std::move(asking);
  if (!mine) co_return mine.error();
  troupe::group::broadcast(self, group_name, Sweep(std::move(what)));
  co_return mine->fence();
}

troupe::application program() {
  troupe::application app{.name = "todo", .version = "1.0.0"};
  app.offers.function("todo.open", open, "open(person): starts that person's list if there is none; where it is");
  app.offers.function("todo.add", add, "add(person, item): how many there are then");
  app.offers.function("todo.items", items, "items(person): what is on the list");
  app.offers.function("todo.people", people, "people(): who has a list, anywhere");
  app.offers.function("todo.sweep", sweep, "sweep(what): takes it off all lists, by one node at a time");
  return app;
}

}  // namespace todo
