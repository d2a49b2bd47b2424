#include "otp/program/watch.hpp"

#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "otp/program/children.hpp"
#include "thread.hpp"

namespace troupe::internal {
namespace {

constexpr std::size_t chunk_bytes = 16 * 1024;
constexpr auto first_look = std::chrono::milliseconds(2), longest_look = std::chrono::milliseconds(50);
// More than lies in a pipe: what is read after SIGKILL comes from somebody outside of the group, who writes on.
constexpr std::size_t most_late_bytes = std::size_t{1} << 20;
constexpr int flush_again_ms = 20;                 // while the guard has no room
constexpr auto give_up = std::chrono::seconds(5);  // after SIGKILL, with what the system does not let go

enum what : int { is_end, is_output, is_errors, is_input };
constexpr std::uint64_t key_of(program_watch::number which, int part) { return which << 2 | unsigned(part); }

// Is there a process in the group that has not ended? A zombie is its new parent's, who may take his time.
bool anyone_in(pid_t group) {
  if (::kill(-group, 0) != 0 && errno == ESRCH) return false;
  std::error_code failed;
  for (const auto& each : std::filesystem::directory_iterator("/proc", failed)) {
    const std::string name = each.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    std::ifstream file(each.path() / "stat");
    std::string stat;
    if (!std::getline(file, stat)) continue;
    char state = 0;
    long parent = 0, its_group = 0;
    const auto end = stat.rfind(')');  // of its name, which may hold anything
    if (end == std::string::npos ||
        std::sscanf(stat.c_str() + end + 1, " %c %ld %ld", &state, &parent, &its_group) != 3)
      continue;
    if (its_group == group && state != 'Z' && state != 'X') return true;
  }
  return failed != std::error_code();  // no /proc: what kill says
}

class program_service : public detail::service {
 public:
  explicit program_service(std::shared_ptr<program_watch> made) : watch(std::move(made)) {}
  ~program_service() override { watch->finish(); }
  void stop(time_point deadline) override { watch->wait_empty(deadline); }
  const std::shared_ptr<program_watch> watch;
};

// `add` once more than the time that is: the deadline of a program that may take for ever is never.
std::chrono::steady_clock::time_point after(duration add) {
  const auto now = std::chrono::steady_clock::now();
  return add > std::chrono::hours(24 * 365) ? std::chrono::steady_clock::time_point::max() : now + add;
}

}  // namespace

struct program_watch::entry {
  entry() = default;
  entry(const entry&) = delete;
  entry& operator=(const entry&) = delete;
  ~entry();
  number which = 0;
  spawned_program os;
  duration grace{};
  pid to;
  bool abandoned = false, stopping = false, ended = false, waited_for = false, killed = false;
  std::array<bool, 2> wanted{};
  std::array<std::size_t, 2> late_bytes{};  // read after SIGKILL
  std::int64_t status = -1, signal = 0;
  clock::time_point deadline = clock::time_point::max();  // of SIGKILL; then of giving up
  clock::time_point timer = clock::time_point::max();
  clock::duration look = first_look;
  std::string writing;
  std::size_t written = 0;
  bool input_ends = false;

  [[nodiscard]] descriptor& stream(program_stream s) { return s == program_stream::output ? os.output : os.errors; }
  [[nodiscard]] bool streams_ended() const { return !os.output && !os.errors; }
};

// Of a start that failed in the middle: nobody knows it.
program_watch::entry::~entry() {
  if (!os.pidfd || waited_for) return;
  ::kill(-os.os_pid, SIGKILL);
  while (::waitpid(os.os_pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  forget_child_of_ours(os.os_pid);
}

result<std::shared_ptr<program_watch>> program_watch::of(detail::core& home) {
  static std::mutex one_at_a_time;
  std::lock_guard lock(one_at_a_time);
  if (auto* service = home.find<program_service>()) return service->watch;
  descriptor epoll(::epoll_create1(EPOLL_CLOEXEC)), wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!epoll || !wake)
    return error(errc::system_limit, "programs cannot be watched: " + std::system_category().message(errno));
  epoll_event event{EPOLLIN, {.u64 = 0}};
  if (::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, wake.get(), &event) != 0)
    return error(errc::system_limit, "programs cannot be watched: " + std::system_category().message(errno));
  auto made = std::make_shared<program_watch>(home, std::move(epoll), std::move(wake));
  try {
    made->begin();
  } catch (const std::system_error& none) {  // no thread
    return error(errc::system_limit, std::string("programs cannot be watched: ") + none.what());
  }
  return home.attach(std::make_unique<program_service>(std::move(made))).watch;
}

program_watch::program_watch(detail::core& home, descriptor epoll, descriptor wake)
    : home_(home), guard_(home.log()), epoll_(std::move(epoll)), wake_(std::move(wake)) {}

void program_watch::begin() {
  thread_ = start_thread("troupe-programs", [this] { run(); });
}

program_watch::~program_watch() { finish(); }

// -- asked from other threads

result<program_watch::number> program_watch::start(const command::plan& what, pid_t& os_pid) {
  number which = 0;
  {
    std::lock_guard lock(mutex_);
    if (finishing_) return error(errc::shutting_down, "the node is stopping");
    ++live_;
    which = next_++;
  }
  // Counted until it is gone, or could not be started.
  struct counted {
    program_watch* watch;
    ~counted() {
      if (watch) watch->count_down();
    }
  } held{this};
  auto one = std::make_unique<entry>();
  one->which = which;
  one->grace = what.stop_within;
  auto made = spawn_program(what);
  if (!made) return made.error();
  one->os = std::move(*made);
  if (auto ok = add_all(*one); !ok) return ok.error();
  guard_.add(one->os.os_pid);
  os_pid = one->os.os_pid;
  post([this, which, one = std::move(one)]() mutable {
    entry& added = *entries_.emplace(which, std::move(one)).first->second;
    arm(added.os.pidfd, added.which, is_end, EPOLLIN);
    if (done_) cut_short(added);
  });
  held.watch = nullptr;
  return which;
}

// All that it will wait for, none of it armed: later there is nothing that the system could refuse. (What it tells
// unasked, the end of a pipe, finds nobody who wants it.)
result<void> program_watch::add_all(entry& one) {
  const std::array<std::pair<descriptor*, int>, 4> all{
      {{&one.os.pidfd, is_end}, {&one.os.output, is_output}, {&one.os.errors, is_errors}, {&one.os.input, is_input}}};
  for (const auto& [fd, part] : all) {
    epoll_event event{EPOLLONESHOT, {.u64 = key_of(one.which, part)}};
    if (*fd && ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd->get(), &event) != 0)
      return error(errc::system_limit, "the program cannot be watched: " + std::system_category().message(errno));
  }
  return {};
}

void program_watch::attach(number which, pid events_to) {
  post([this, which, events_to] {
    if (entry* one = find(which)) one->to = events_to;
  });
}
void program_watch::want(number which, program_stream stream) {
  post([this, which, stream] {
    entry* one = find(which);
    if (!one) return;
    one->wanted[static_cast<std::size_t>(stream)] = true;
    if (!one->stream(stream)) return;
    if (one->ended && one->killed) read(*one, stream);
    else arm(*one, stream);
  });
}
void program_watch::write(number which, std::string data) {
  post([this, which, data = std::move(data)]() mutable {
    entry* one = find(which);
    if (!one) return;
    one->writing = std::move(data);
    one->written = 0;
    flush_input(*one);
  });
}
void program_watch::end_input(number which) {
  post([this, which] {
    entry* one = find(which);
    if (!one) return;
    one->input_ends = true;
    if (one->writing.empty()) one->os.input.close();
  });
}
void program_watch::stop(number which) {
  post([this, which] {
    if (entry* one = find(which)) begin_stop(*one);
  });
}
void program_watch::abandon(number which) {
  post([this, which] {
    entry* one = find(which);
    if (!one) return;
    begin_stop(*one);
    drain(*one);
  });
}
void program_watch::signal(number which, int number) {
  post([this, which, number] {
    entry* one = find(which);
    if (one && !one->ended) ::kill(one->os.os_pid, number);
  });
}

void program_watch::wait_empty(time_point until) {
  std::unique_lock lock(mutex_);
  // Each has its own deadline, after which it is killed: `until` is for a node that cannot wait for that.
  while (live_ > 0 && home_.clock().now() < until) changed_.wait_for(lock, std::chrono::milliseconds(20));
}

void program_watch::finish() {
  {
    std::lock_guard lock(mutex_);
    if (finished_) return;
    finishing_ = finished_ = true;
  }
  post([this] {
    done_ = true;
    for (auto& [which, one] : entries_) cut_short(*one);
  });
  if (thread_.joinable()) thread_.join();
}

void program_watch::post(std::move_only_function<void()> work) {
  bool first = false;
  {
    std::lock_guard lock(mutex_);
    first = posted_.empty();
    posted_.push_back(std::move(work));
  }
  if (first) wake_up();
}

// -- the thread

void program_watch::run() {
  std::array<epoll_event, 64> events{};
  bool unsent = false;
  while (!over()) {
    int wait_ms = unsent ? flush_again_ms : -1;
    if (!timers_.empty()) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(timers_.begin()->first - clock::now()).count();
      wait_ms = static_cast<int>(std::clamp<std::int64_t>(left, 0, unsent ? flush_again_ms : 60'000));
    }
    const int count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), wait_ms);
    for (int i = 0; i < count; ++i) {
      const std::uint64_t key = events[static_cast<std::size_t>(i)].data.u64;
      if (key != 0) handle(key >> 2, static_cast<int>(key & 3));
    }
    run_posted();
    while (!timers_.empty() && timers_.begin()->first <= clock::now()) {
      entry* due = find(timers_.begin()->second);
      timers_.erase(timers_.begin());
      if (!due) continue;
      due->timer = clock::time_point::max();
      on_timer(*due);
    }
    unsent = guard_.flush();
  }
}

void program_watch::run_posted() {
  std::uint64_t count = 0;
  (void)!::read(wake_.get(), &count, sizeof count);
  std::vector<std::move_only_function<void()>> work;
  {
    std::lock_guard lock(mutex_);
    work.swap(posted_);
  }
  for (auto& each : work) each();
}

bool program_watch::over() {
  if (!done_) return false;
  std::lock_guard lock(mutex_);
  return live_ == 0;
}

void program_watch::count_down() {
  {
    std::lock_guard lock(mutex_);
    --live_;
    changed_.notify_all();
  }
  wake_up();
}

void program_watch::wake_up() {
  const std::uint64_t one = 1;
  (void)!::write(wake_.get(), &one, sizeof one);
}

program_watch::entry* program_watch::find(number which) {
  const auto found = entries_.find(which);
  return found == entries_.end() ? nullptr : found->second.get();
}

template <class Event>
void program_watch::tell(const entry& one, Event event) {
  if (one.abandoned || !one.to) return;
  home_.deliver(one.to, detail::make_envelope<Event>(detail::signal::message, std::move(event)));
}

void program_watch::handle(number which, int what) {
  entry* one = find(which);
  if (!one) return;
  switch (what) {
    case is_end: return look_at_end(*one);
    case is_output: return read(*one, program_stream::output);
    case is_errors: return read(*one, program_stream::errors);
    default:
      if (!one->writing.empty()) flush_input(*one);
  }
}

void program_watch::arm(const descriptor& fd, number which, int part, std::uint32_t what) {
  epoll_event event{what | EPOLLONESHOT, {.u64 = key_of(which, part)}};
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd.get(), &event);
}

void program_watch::arm(entry& one, program_stream stream) {
  arm(one.stream(stream), one.which, stream == program_stream::output ? is_output : is_errors, EPOLLIN);
}

void program_watch::read(entry& one, program_stream stream) {
  descriptor& from = one.stream(stream);
  const auto index = static_cast<std::size_t>(stream);
  bool& wanted = one.wanted[index];
  if (!from || !wanted) return;
  program_chunk got;
  got.stream = stream;
  got.data.resize(chunk_bytes);
  const ssize_t count = ::read(from.get(), got.data.data(), got.data.size());
  if (count < 0 && (errno == EINTR || errno == EAGAIN)) {
    // Empty, and its writers have had their time: they are not of the group any more.
    if (errno != EAGAIN || !one.ended || !one.killed) return arm(one, stream);
  }
  got.data.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
  if (one.ended && one.killed) one.late_bytes[index] += got.data.size();
  got.end = count <= 0 || one.late_bytes[index] > most_late_bytes;
  if (got.end) from.close();
  wanted = one.abandoned;
  if (wanted && from) arm(one, stream);
  tell(one, std::move(got));
  if (one.streams_ended()) settle(one);
}

void program_watch::flush_input(entry& one) {
  bool failed = !one.os.input;
  while (!failed && one.written < one.writing.size()) {
    const ssize_t count =
        ::write(one.os.input.get(), one.writing.data() + one.written, one.writing.size() - one.written);
    if (count >= 0) {
      one.written += static_cast<std::size_t>(count);
    } else if (errno == EAGAIN) {
      return arm(one.os.input, one.which, is_input, EPOLLOUT);
    } else if (errno != EINTR) {
      failed = true;
    }
  }
  one.writing.clear();
  one.written = 0;
  if (failed || one.input_ends) one.os.input.close();
  program_written done;
  done.ok = !failed;
  tell(one, done);
}

// SIGCONT, or a stopped one would not even see the first.
void program_watch::begin_stop(entry& one) {
  if (std::exchange(one.stopping, true)) return;
  if (!one.waited_for) {
    ::kill(-one.os.os_pid, SIGTERM);
    ::kill(-one.os.os_pid, SIGCONT);
  }
  const bool blocked = !one.writing.empty();
  one.writing.clear();
  one.os.input.close();
  if (blocked) tell(one, program_written{});
  one.deadline = after(one.grace);
  if (one.deadline != clock::time_point::max()) set_timer(one, one.deadline);
}

void program_watch::drain(entry& one) {
  one.abandoned = true;
  for (auto stream : {program_stream::output, program_stream::errors}) {
    one.wanted[static_cast<std::size_t>(stream)] = true;
    if (one.stream(stream)) arm(one, stream);
  }
  if (one.killed) set_timer(one, clock::now());
}

void program_watch::cut_short(entry& one) {
  begin_stop(one);
  drain(one);
  if (one.killed) return;
  one.deadline = clock::now();
  set_timer(one, one.deadline);
}

void program_watch::look_at_end(entry& one) {
  if (one.ended) return;
  siginfo_t about{};
  const int got = ::waitid(P_PIDFD, static_cast<id_t>(one.os.pidfd.get()), &about, WEXITED | WNOHANG | WNOWAIT);
  if (got == 0 && about.si_pid == 0) return arm(one.os.pidfd, one.which, is_end, EPOLLIN);  // not yet
  one.ended = true;
  if (got == 0) {
    one.status = about.si_code == CLD_EXITED ? about.si_status : 0;
    one.signal = about.si_code == CLD_EXITED ? 0 : about.si_status;
  }
  begin_stop(one);
  settle(one);
}

void program_watch::settle(entry& one) {
  if (!one.ended || !one.streams_ended()) return;
  const pid_t group = one.os.os_pid;
  if (!std::exchange(one.waited_for, true)) {
    siginfo_t about{};
    (void)::waitid(P_PIDFD, static_cast<id_t>(one.os.pidfd.get()), &about, WEXITED | WNOHANG);
    forget_child_of_ours(group);
  }
  const bool gave_up = one.killed && one.deadline <= clock::now();
  if (!gave_up && anyone_in(group)) {
    one.look = std::min<clock::duration>(2 * one.look, longest_look);
    set_timer(one, std::min(one.deadline, clock::now() + one.look));
    return;
  }
  guard_.remove(group);
  program_gone gone;
  gone.status = one.status;
  gone.signal = one.signal;
  if (one.timer != clock::time_point::max()) timers_.erase({one.timer, one.which});
  const auto held = entries_.extract(one.which);
  held.mapped()->os = {};  // whoever hears of its end finds nothing of it open
  tell(one, gone);
  count_down();
}

void program_watch::set_timer(entry& one, clock::time_point when) {
  if (one.timer != clock::time_point::max()) timers_.erase({one.timer, one.which});
  one.timer = when;
  timers_.emplace(when, one.which);
}

void program_watch::on_timer(entry& one) {
  const auto now = clock::now();
  if (one.deadline <= now && !one.killed) {
    ::kill(-one.os.os_pid, SIGKILL);
    one.killed = true;
    one.deadline = now + give_up;
    set_timer(one, now + first_look);
    return;
  }
  if (one.killed && !one.ended) {
    const number which = one.which;
    look_at_end(one);
    if (!find(which)) return;
  }
  if (one.killed && one.deadline <= now && !one.ended) {
    // In the middle of what the system does not interrupt: it ends when that does, and nobody waits for it.
    one.ended = true;
  }
  if (one.killed) {
    // What is at its end for everybody in the group may be held open from outside of it.
    for (auto stream : {program_stream::output, program_stream::errors}) {
      if (one.stream(stream) && one.wanted[static_cast<std::size_t>(stream)]) {
        const number which = one.which;
        read(one, stream);
        if (!find(which)) return;
      }
    }
    if (!one.ended || !one.streams_ended()) {
      bool asked_for = !one.ended;
      for (auto stream : {program_stream::output, program_stream::errors})
        asked_for = asked_for || (one.stream(stream) && one.wanted[static_cast<std::size_t>(stream)]);
      if (!asked_for) return;  // its process will ask, when the owner has taken what came before
      one.look = std::min<clock::duration>(2 * one.look, longest_look);
      return set_timer(one, now + one.look);
    }
  }
  settle(one);
}

}  // namespace troupe::internal
