// Queues between the hubs of one OS process: a frame is a post to the other side's loop.
#include <map>
#include <mutex>
#include <unordered_map>

#include <troupe/bus/transport.hpp>
#include <troupe/value.hpp>

namespace troupe::bus {
namespace internal {
namespace {

class inproc_pipes;

// How others reach a transport that may end at any moment: they post through it, under its lock.
class mailbox {
 public:
  mailbox(loop& on, inproc_pipes& owner) : loop_(&on), owner_(&owner) {}

  // `work` runs on the owner's loop with the owner, unless it has ended by then. False when it has ended now.
  template <class Work>
  bool post(const std::shared_ptr<mailbox>& self, Work work) {
    std::lock_guard lock(mutex_);
    if (loop_ == nullptr) return false;
    loop_->post([self, work = std::move(work)]() mutable {
      if (inproc_pipes* owner = self->owner_) work(*owner);
    });
    return true;
  }
  void end() {
    std::lock_guard lock(mutex_);
    loop_ = nullptr;
    owner_ = nullptr;
  }

 private:
  std::mutex mutex_;
  loop* loop_;           // under mutex_
  inproc_pipes* owner_;  // written under mutex_ on the owner's loop, read on it
};

struct address {
  std::shared_ptr<mailbox> box;
  pipe_id pipe = 0;
};

class network final : public inproc_network {
 public:
  result<void> bind(const std::string& name, std::shared_ptr<mailbox> box) {
    std::lock_guard lock(mutex_);
    if (!listeners_.emplace(name, std::move(box)).second) return error(errc::io, "inproc://" + name + " is in use");
    return {};
  }
  void unbind(const std::string& name) {
    std::lock_guard lock(mutex_);
    listeners_.erase(name);
  }
  std::shared_ptr<mailbox> find(const std::string& name) {
    std::lock_guard lock(mutex_);
    auto found = listeners_.find(name);
    return found == listeners_.end() ? nullptr : found->second;
  }

 private:
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<mailbox>> listeners_;
};

class inproc_pipes final : public transport {
 public:
  inproc_pipes(loop& on, std::shared_ptr<network> net)
      : loop_(on), network_(std::move(net)), box_(std::make_shared<mailbox>(on, *this)) {}
  ~inproc_pipes() override {
    loop_.run([this] { stop(); });
  }

  loop& on() noexcept override { return loop_; }
  bool speaks(endpoint::scheme kind) const noexcept override { return kind == endpoint::scheme::inproc; }
  result<void> start(transport_events& events, const transport_settings&) override {
    events_ = &events;
    return {};
  }

  result<endpoint> listen(const endpoint& where) override {
    if (auto bound = network_->bind(where.host, box_); !bound) return bound.error();
    listening_.push_back(where.host);
    return where;
  }
  void unlisten(const endpoint& where) override {
    if (std::erase(listening_, where.host) != 0) network_->unbind(where.host);
  }

  result<pipe_id> dial(const endpoint& where) override {
    const pipe_id id = ++last_;
    const auto there = network_->find(where.host);
    pipes_.emplace(id, address{});
    const address here{box_, id};
    if (there && there->post(there, [here, where](inproc_pipes& owner) { owner.accept(here, where); })) {
      // The other side's number is not known yet: it finds its end by ours.
      pipes_[id] = {there, 0};
      return id;
    }
    const error nobody(errc::noconnection, "nobody answers at " + where.text());
    box_->post(box_, [id, nobody](inproc_pipes& owner) { owner.broken(id, nobody); });
    return id;
  }

  bool send(pipe_id pipe, std::span<const std::byte> header, frame_payload payload) override {
    auto found = pipes_.find(pipe);
    if (found == pipes_.end() || !found->second.box) return false;
    bytes data;
    data.reserve(header.size() + payload.size());
    data.insert(data.end(), header.begin(), header.end());
    for (const auto part : payload.parts()) data.insert(data.end(), part.begin(), part.end());
    return to_other(pipe, found->second,
                    [data = std::move(data)](inproc_pipes& owner, pipe_id id) { owner.arrived(id, data); });
  }

  pipe_origin origin(pipe_id accepted) const override { return {came_in_at_.at(accepted), {}}; }

  void close(pipe_id pipe) override {
    auto found = pipes_.find(pipe);
    if (found == pipes_.end()) return;
    hang_up(pipe, found->second);
    forget(pipe);
  }

  void stop() override {
    for (const std::string& name : listening_) network_->unbind(name);
    listening_.clear();
    for (const auto& [id, other] : pipes_) hang_up(id, other);
    pipes_.clear();
    accepted_.clear();
    box_->end();
  }

 private:
  using far_end = std::pair<mailbox*, pipe_id>;

  // A dialler does not know the number of the far end, so its frames carry its own, which the far side looks up.
  template <class Work>
  bool to_other(pipe_id mine, const address& other, Work work) {
    const address here{box_, mine};
    return other.box->post(other.box, [here, to = other.pipe, work = std::move(work)](inproc_pipes& owner) {
      const pipe_id id = to != 0 ? to : owner.number_of(here);
      if (owner.pipes_.contains(id)) work(owner, id);
    });
  }
  void hang_up(pipe_id mine, const address& other) {
    if (!other.box) return;
    const error gone(errc::noconnection, "the other side is gone");
    to_other(mine, other, [gone](inproc_pipes& owner, pipe_id id) { owner.broken(id, gone); });
  }
  pipe_id number_of(const address& far) {
    auto found = accepted_.find({far.box.get(), far.pipe});
    return found == accepted_.end() ? 0 : found->second;
  }
  void accept(const address& far, const endpoint& at) {
    const pipe_id id = ++last_;
    came_in_at_.emplace(id, at);
    pipes_.emplace(id, far);
    accepted_.emplace(far_end{far.box.get(), far.pipe}, id);
    events_->opened(id);
  }
  void arrived(pipe_id id, const bytes& data) { events_->frame(id, data); }
  void broken(pipe_id id, const error& why) {
    if (!pipes_.contains(id)) return;
    forget(id);
    events_->closed(id, why);
  }
  void forget(pipe_id id) {
    auto found = pipes_.find(id);
    accepted_.erase({found->second.box.get(), found->second.pipe});
    came_in_at_.erase(id);
    pipes_.erase(found);
  }

  loop& loop_;
  std::shared_ptr<network> network_;
  std::shared_ptr<mailbox> box_;
  transport_events* events_ = nullptr;
  std::vector<std::string> listening_;
  std::map<pipe_id, address> pipes_;
  std::map<far_end, pipe_id> accepted_;
  std::map<pipe_id, endpoint> came_in_at_;
  pipe_id last_ = 0;
};

}  // namespace
}  // namespace internal

std::shared_ptr<inproc_network> make_inproc_network() { return std::make_shared<internal::network>(); }

std::unique_ptr<transport> inproc_transport(loop& on, std::shared_ptr<inproc_network> network) {
  return std::make_unique<internal::inproc_pipes>(on, std::static_pointer_cast<internal::network>(std::move(network)));
}

}  // namespace troupe::bus
