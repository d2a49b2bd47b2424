#include "resolver.hpp"

#include <deque>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>

#include <troupe/expect.hpp>

#include "thread.hpp"

namespace troupe::bus::internal {
namespace {

std::mutex other_mutex;
resolver::lookup other_lookup;

resolver::lookup current_lookup() {
  std::lock_guard lock(other_mutex);
  return other_lookup ? other_lookup : resolver::lookup(&addresses_of);
}

}  // namespace

struct resolver::shared {
  struct job {
    std::string key;
    endpoint where;
  };
  lookup ask;
  std::mutex mutex;
  // under mutex
  resolver* owner = nullptr;  // null: it is gone
  std::deque<job> waiting;
  unsigned threads = 0;
};

void resolver::instead(lookup other) {
  std::lock_guard lock(other_mutex);
  other_lookup = std::move(other);
}

resolver::resolver(loop& on) : loop_(on), shared_(std::make_shared<shared>()) {
  shared_->owner = this;
  shared_->ask = current_lookup();
}

result<std::vector<socket_address>> resolver::wait_for(const endpoint& where) { return current_lookup()(where); }

resolver::~resolver() {
  std::lock_guard lock(shared_->mutex);
  shared_->owner = nullptr;
  shared_->waiting.clear();
}

resolver::ticket resolver::ask(const endpoint& where, answer then) {
  const ticket id = ++last_;
  std::string key = where.text();
  keys_.emplace(id, key);
  question& one = questions_[key];
  one.wanted_by.emplace(id, std::move(then));
  if (one.wanted_by.size() > 1) return id;
  if (auto begun = begin(key, where); !begun) {
    loop_.post([with = shared_, key = std::move(key), why = begun.error()] {
      if (with->owner != nullptr) with->owner->answered(key, why);
    });
  }
  return id;
}

result<void> resolver::begin(const std::string& key, const endpoint& where) {
  std::lock_guard lock(shared_->mutex);
  if (shared_->waiting.size() >= most_waiting) {
    return error(errc::overloaded, where.text() + ": too many names wait for a name server");
  }
  shared_->waiting.push_back({key, where});
  if (shared_->threads >= most_threads) return {};
  try {
    troupe::internal::start_thread("troupe-resolve", [with = shared_] { body(with); }).detach();
    ++shared_->threads;
  } catch (const std::system_error& failed) {
    if (shared_->threads == 0) {
      shared_->waiting.pop_back();
      return error(errc::system_limit, where.text() + ": no thread to ask a name server: " + failed.what());
    }
  }
  return {};
}

void resolver::body(const std::shared_ptr<shared>& with) {
  std::unique_lock lock(with->mutex);
  while (!with->waiting.empty()) {
    shared::job one = std::move(with->waiting.front());
    with->waiting.pop_front();
    lock.unlock();
    result<std::vector<socket_address>> found = error(errc::system_limit, one.where.text() + ": no memory");
    try {
      found = with->ask(one.where);
    } catch (const std::bad_alloc&) {  // the answer says so
    }
    lock.lock();
    if (with->owner == nullptr) break;
    // Under the lock: the resolver, and so the loop, are there until it is released.
    with->owner->loop_.post([with, key = std::move(one.key), found = std::move(found)] {
      if (with->owner != nullptr) with->owner->answered(key, found);
    });
  }
  TROUPE_EXPECT(with->threads > 0, "waiting", with->waiting.size());  // `begin` counts it before it may look
  --with->threads;
}

void resolver::answered(const std::string& key, const result<std::vector<socket_address>>& found) {
  TROUPE_EXPECT(loop_.inside(), "key", key);
  auto node = questions_.extract(key);
  if (node.empty()) return;
  auto wanted_by = std::move(node.mapped().wanted_by);
  for (const auto& [id, then] : wanted_by) keys_.erase(id);
  for (auto& [id, then] : wanted_by) then(found);
}

void resolver::cancel(ticket id) {
  auto key = keys_.find(id);
  if (key == keys_.end()) return;
  auto asked = questions_.find(key->second);
  if (asked != questions_.end()) {
    asked->second.wanted_by.erase(id);
    if (asked->second.wanted_by.empty()) {
      std::lock_guard lock(shared_->mutex);
      std::erase_if(shared_->waiting, [&](const shared::job& one) { return one.key == asked->first; });
      questions_.erase(asked);
    }
  }
  keys_.erase(key);
}

}  // namespace troupe::bus::internal
