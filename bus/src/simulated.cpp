#include "simulated.hpp"

#include <algorithm>
#include <array>

#include <troupe/expect.hpp>

namespace troupe::bus {
namespace internal {
namespace {

// Reads the simulation's time; may outlive it.
class virtual_clock final : public clock {
 public:
  explicit virtual_clock(std::shared_ptr<time_point> now) : now_(std::move(now)) {}
  time_point now() const noexcept override { return *now_; }
  std::chrono::system_clock::time_point wall() const noexcept override {
    return std::chrono::system_clock::time_point(
        std::chrono::duration_cast<std::chrono::system_clock::duration>(now_->time_since_epoch()));
  }

 private:
  std::shared_ptr<time_point> now_;
};

std::string event_name(const simulated_pipe::item& item) {
  if (item.end) return "end (" + item.why.text() + ")";
  std::uint64_t hash = 1469598103934665603ull;  // FNV-1a: the log compares contents without holding them
  for (const std::byte b : item.data) hash = (hash ^ static_cast<std::uint64_t>(b)) * 1099511628211ull;
  return "frame of " + std::to_string(item.data.size()) + " bytes, hash " + std::to_string(hash);
}

}  // namespace

// -- hosts -----------------------------------------------------------------------------------------------------------

time_point simulated_host::now() const noexcept { return world_.now(); }

void simulated_host::post(std::move_only_function<void()> work) {
  world_.schedule(world_.now(), *this, std::move(work));
}

timer_id simulated_host::at(time_point when, std::move_only_function<void()> work) {
  const timer_id id = ++last_;
  cancelled_.insert(id);
  world_.schedule(std::max(when, world_.now()), *this, [this, id, work = std::move(work)]() mutable {
    if (cancelled_.erase(id) != 0) work();
  });
  return id;
}

void simulated_host::arrive(std::move_only_function<void()> work) {
  if (dead) return;
  if (paused) kept.push_back(std::move(work));
  else work();
}

// -- the transport ---------------------------------------------------------------------------------------------------

result<void> simulated_pipes::start(transport_events& events, const transport_settings&) {
  events_ = &events;
  return {};
}

result<endpoint> simulated_pipes::listen(const endpoint& where) {
  if (auto bound = world_.bind(where.host, *this); !bound) return bound.error();
  listening_.push_back(where.host);
  return where;
}

void simulated_pipes::unlisten(const endpoint& where) {
  if (std::erase(listening_, where.host) != 0) world_.unbind(where.host);
}

result<pipe_id> simulated_pipes::dial(const endpoint& where) {
  const pipe_id id = world_.next_pipe();
  world_.connect(*this, id, where);
  return id;
}

bool simulated_pipes::send(pipe_id pipe, std::span<const std::byte> header, frame_payload payload) {
  auto found = ends_.find(pipe);
  if (found == ends_.end()) return false;
  simulated_pipe::item item;
  item.data.assign(header.begin(), header.end());
  for (const auto part : payload.parts()) item.data.insert(item.data.end(), part.begin(), part.end());
  world_.transmit(found->second.pipe, 1 - found->second.reads, std::move(item));
  return true;
}

void simulated_pipes::close(pipe_id pipe) {
  auto found = ends_.find(pipe);
  if (found == ends_.end()) return;
  const end mine = found->second;
  ends_.erase(found);
  mine.pipe->way[mine.reads].reader = nullptr;
  world_.transmit(mine.pipe, 1 - mine.reads,
                  {.data = {}, .end = true, .why = error(errc::noconnection, "the other side is gone")});
}

void simulated_pipes::stop() {
  if (stopped_) return;
  stopped_ = true;
  for (const std::string& name : listening_) world_.unbind(name);
  listening_.clear();
  while (!ends_.empty()) close(ends_.begin()->first);
  world_.detach(*this);
}

// -- the world -------------------------------------------------------------------------------------------------------

simulation::simulation(simulation_options options)
    : options_(options),
      now_(std::make_shared<time_point>(std::chrono::seconds(1))),
      random_(seeded_random(options.seed)),
      delays_(seeded_random(options.seed ^ 0x5bd1e995u)) {}

simulation::~simulation() { events_.clear(); }

std::shared_ptr<clock> simulation::time() { return std::make_shared<virtual_clock>(now_); }

simulated_host& simulation::host_named(std::string_view name) {
  if (auto found = hosts_.find(name); found != hosts_.end() && !found->second->dead) return *found->second;
  every_host_.push_back(std::make_unique<simulated_host>(*this, std::string(name)));
  hosts_.insert_or_assign(std::string(name), every_host_.back().get());
  return *every_host_.back();
}

std::unique_ptr<transport> simulation::attach(std::string_view host) {
  simulated_host& on = host_named(host);
  auto out = std::make_unique<simulated_pipes>(*this, on);
  on.transports.push_back(out.get());
  return out;
}

void simulation::detach(simulated_pipes& gone) { std::erase(gone.host_.transports, &gone); }

void simulation::schedule(time_point when, simulated_host& host, std::move_only_function<void()> work) {
  events_.emplace(std::pair(when, ++last_event_), event{&host, std::move(work)});
}

bool simulation::step() {
  if (events_.empty()) return false;
  auto next = events_.extract(events_.begin());
  *now_ = std::max(*now_, next.key().first);
  next.mapped().host->arrive(std::move(next.mapped().work));
  return true;
}

bool simulation::run_until(const std::function<bool()>& done, duration at_most) {
  const time_point end = deadline_after(now(), at_most);
  for (;;) {
    if (done()) return true;
    if (events_.empty() || events_.begin()->first.first > end) break;
    step();
  }
  *now_ = std::max(*now_, end);
  return done();
}

void simulation::run_for(duration time) {
  const time_point end = deadline_after(now(), time);
  while (!events_.empty() && events_.begin()->first.first <= end) step();
  *now_ = std::max(*now_, end);
}

void simulation::note(std::string line) {
  log_.push_back(std::to_string(now().time_since_epoch().count()) + " " + std::move(line));
}

duration simulation::delay() {
  const auto spread = static_cast<std::uint64_t>((options_.longest_delay - options_.shortest_delay).count());
  return options_.shortest_delay + duration(static_cast<std::int64_t>(delays_->below(spread + 1)));
}

result<void> simulation::bind(const std::string& name, simulated_pipes& listener) {
  if (!listeners_.emplace(name, &listener).second) return error(errc::io, "sim://" + name + " is in use");
  return {};
}

void simulation::connect(simulated_pipes& dialler, pipe_id id, const endpoint& where) {
  auto pipe = std::make_shared<simulated_pipe>();
  std::erase_if(pipes_, [](const auto& weak) { return weak.expired(); });
  pipes_.push_back(pipe);
  auto found = listeners_.find(where.host);
  simulated_pipe::direction& back = pipe->way[1];
  back.to = &dialler.host_;
  back.reader = &dialler;
  back.id = id;
  back.opened = true;
  dialler.ends_.emplace(id, simulated_pipes::end{pipe, 1});
  if (found == listeners_.end()) {
    back.from = &dialler.host_;
    back.last = now() + options_.refusal_delay;
    transmit(pipe, 1, {.data = {}, .end = true, .why = error(errc::noconnection, "nobody answers at " + where.text())});
    return;
  }
  simulated_pipe::direction& forth = pipe->way[0];
  forth.from = back.to;
  forth.to = &found->second->host_;
  forth.reader = found->second;
  forth.id = next_pipe();
  back.from = forth.to;
  found->second->ends_.emplace(forth.id, simulated_pipes::end{pipe, 0, where});
}

void simulation::transmit(const std::shared_ptr<simulated_pipe>& pipe, int way, simulated_pipe::item item) {
  simulated_pipe::direction& d = pipe->way[way];
  if (d.ended || d.to == nullptr) return;
  d.ended = item.end;
  if (is_cut(*d.from, *d.to)) {
    d.held.push_back(std::move(item));
    return;
  }
  d.under_way.push_back(std::move(item));
  d.last = std::max(d.last, now() + delay());
  schedule(d.last, *d.to, [this, pipe, way] { deliver(pipe, way); });
}

void simulation::deliver(const std::shared_ptr<simulated_pipe>& pipe, int way) {
  simulated_pipe::direction& d = pipe->way[way];
  TROUPE_EXPECT(!d.under_way.empty(), "pipe", d.id, "way", way);  // each that is sent is delivered once
  simulated_pipe::item item = std::move(d.under_way.front());
  d.under_way.pop_front();
  if (d.reader == nullptr) return;
  note(d.to->name() + " pipe " + std::to_string(d.id) + ": " + event_name(item));
  simulated_pipes& reader = *d.reader;
  const pipe_id id = d.id;
  if (item.end) {
    reader.ends_.erase(id);
    d.reader = nullptr;
    pipe->way[1 - way].ended = true;
    if (d.opened) reader.events_->closed(id, item.why);
    return;
  }
  if (!d.opened) {
    d.opened = true;
    reader.events_->opened(id);
    if (d.reader == nullptr) return;
  }
  reader.events_->frame(id, item.data);
}

// -- what goes wrong -------------------------------------------------------------------------------------------------

simulation::pair simulation::ordered(std::string_view a, std::string_view b) { return a < b ? pair(a, b) : pair(b, a); }

bool simulation::is_cut(const simulated_host& a, const simulated_host& b) const {
  return cuts_.contains(ordered(a.name(), b.name()));
}

void simulation::cut(std::string_view a, std::string_view b) {
  note("cut " + std::string(a) + " " + std::string(b));
  cuts_.insert(ordered(a, b));
}

void simulation::heal(std::string_view a, std::string_view b) {
  if (cuts_.erase(ordered(a, b)) == 0) return;
  note("heal " + std::string(a) + " " + std::string(b));
  let_go(a, b);
}

void simulation::heal_all() {
  while (!cuts_.empty()) {
    const pair one = *cuts_.begin();
    heal(one.first, one.second);
  }
}

void simulation::let_go(std::string_view a, std::string_view b) {
  for (const auto& weak : std::vector(pipes_)) {
    const auto pipe = weak.lock();
    if (!pipe || pipe->way[0].to == nullptr) continue;
    if (ordered(pipe->way[0].from->name(), pipe->way[0].to->name()) != ordered(a, b)) continue;
    for (const int way : {0, 1}) {
      simulated_pipe::direction& d = pipe->way[way];
      const bool ended = std::exchange(d.ended, false);
      for (auto& item : std::exchange(d.held, {})) transmit(pipe, way, std::move(item));
      d.ended = d.ended || ended;
    }
  }
}

void simulation::break_one(const std::shared_ptr<simulated_pipe>& pipe, std::string_view why) {
  for (const int way : {0, 1}) {
    simulated_pipe::direction& d = pipe->way[way];
    d.last = std::max(d.last, now() + options_.break_delay);
    transmit(pipe, way, {.data = {}, .end = true, .why = error(errc::noconnection, std::string(why))});
  }
}

void simulation::break_pipes(std::string_view a, std::string_view b) {
  note("break " + std::string(a) + " " + std::string(b));
  for (const auto& weak : std::vector(pipes_)) {
    const auto pipe = weak.lock();
    if (!pipe || pipe->way[0].to == nullptr) continue;
    if (ordered(pipe->way[0].from->name(), pipe->way[0].to->name()) == ordered(a, b)) break_one(pipe, "the pipe broke");
  }
}

void simulation::pause(std::string_view host) {
  note("pause " + std::string(host));
  host_named(host).paused = true;
}

void simulation::resume(std::string_view host) {
  note("resume " + std::string(host));
  simulated_host& one = host_named(host);
  one.paused = false;
  for (auto& work : std::exchange(one.kept, {})) schedule(now(), one, std::move(work));
}

void simulation::kill(std::string_view host) {
  note("kill " + std::string(host));
  simulated_host& one = host_named(host);
  one.dead = true;
  one.kept.clear();
  for (simulated_pipes* each : std::vector(one.transports)) each->stop();
}

}  // namespace internal

std::unique_ptr<simulator> make_simulator(simulation_options options) {
  return std::make_unique<internal::simulation>(options);
}

}  // namespace troupe::bus
