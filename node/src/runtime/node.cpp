#include <troupe/node.hpp>

#include "runtime/core.hpp"
#include "runtime/own.hpp"
#include "runtime/process_private.hpp"

namespace troupe {

node::node(std::unique_ptr<detail::core> made) : core_(std::move(made)) { core_->owner = this; }

node::~node() {
  stop();
  // Nothing runs a slice any more once the workers are gone, when the scheduler is ours alone. With others' nodes on it
  // the core waits for its own blocking work.
  if (core_->shared_scheduler().use_count() == 2) core_->scheduler().stop();
}

bool node::stop(duration limit) { return core_->stop(limit); }

const std::string& node::name() const noexcept { return core_->life()->name; }
bool node::alive() const noexcept { return core_->life()->name != nonode; }
const node_life* node::life() const noexcept { return core_->life(); }
const node_options& node::options() const noexcept { return core_->options(); }
const catalogue& node::offers() const noexcept { return core_->options().offers; }
clock& node::clock() const noexcept { return core_->clock(); }
random_source& node::random() const noexcept { return core_->random(); }
logger node::log() const { return logger(core_->log()); }

result<pid> node::whereis(std::string_view name) const { return core_->whereis(name); }
std::vector<std::pair<std::string, pid>> node::registered() const { return core_->registered(); }
std::vector<pid> node::processes() const { return core_->processes(); }
std::size_t node::process_count() const noexcept { return core_->process_count(); }
bool node::exists(pid p) const noexcept { return core_->exists(p); }
void node::exit(pid p, exit_reason reason) {
  detail::envelope* e = detail::make_envelope<exit_reason>(detail::signal::exit_asked, std::move(reason));
  e->id = detail::by_force;  // by the program itself
  core_->deliver(p, e);
}
void node::send_envelope(const address& to, detail::envelope* e) { core_->deliver(to, e); }
void node::add_root(pid root) { core_->add_root(root); }
std::vector<pid> node::roots() const { return core_->roots(); }

namespace detail {

std::unique_ptr<node> make_bare_node(bare_node_options options) {
  core_options made;
  if (auto life = held_life::hold(options.name, options.creation)) made.life = std::move(*life);
  made.clock = options.clock ? options.clock : system_clock();
  made.random = options.random ? options.random : system_random();
  made.log = options.log;
  made.node = std::move(options.node);
  made.node.name = options.name;
  made.scheduler = options.scheduler;
  if (!made.scheduler) {
    internal::scheduler_options how{options.workers, made.clock, &process_private::run_slice};
    how.stalled = &core::report_stall;
    how.stall_after = made.node.stall_after;
    made.scheduler = std::make_shared<internal::scheduler>(std::move(how));
    made.scheduler->start();
  }
  return std::make_unique<node>(std::make_unique<core>(std::move(made)));
}

}  // namespace detail
}  // namespace troupe
