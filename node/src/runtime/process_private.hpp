#pragma once
// The inside of a process, for the runtime's own files alone.
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <set>

#include "runtime/core.hpp"
#include "sched/pool.hpp"
#include "sched/scheduler.hpp"

namespace troupe::detail {

struct monitor_entry {
  pid target;  // empty for a name elsewhere
  std::string name, node;
};

struct timer_state {
  time_point due;
  duration period{};  // zero: fires once
  address to;
  message content;  // of a repeating one: kept as a value and copied
};

struct timer_table {
  std::map<std::uint64_t, timer_state> by_id;
  std::set<std::pair<time_point, std::uint64_t>> by_time;
};

// What wakes a thread that holds a `handle`. Whoever takes the `waiting` mark off its inbox calls `wake_from_outside`
// once; the port may go only when as many of these calls have ended as marks were taken.
struct thread_port {
  int fd = -1;
  std::atomic<std::uint64_t> woken{0};  // calls from outside that have ended
  void wake() noexcept;
  void wake_from_outside() noexcept {
    wake();
    woken.fetch_add(1, std::memory_order_release);
  }
  void clear() noexcept;
};

// What not every process has. Made on first use.
struct cold_part {
  std::string label;
  map metadata;
  std::set<pid> links;
  std::map<pid, int> unlinking;                      // unlinks that `pid` has not acknowledged
  std::map<std::uint64_t, monitor_entry> monitors;   // of others, by us
  std::set<std::pair<pid, std::uint64_t>> watchers;  // of us, by others
  std::unique_ptr<timer_table> timers;
  // Calls destroyed unanswered in this slice: answered when it is known whether the process ends with them.
  std::vector<std::pair<pid, std::uint64_t>> dropped;
  std::optional<exit_reason> doom;  // set: the process must end and is never resumed again
  set_aside* aside = nullptr;       // see there
  thread_port* port = nullptr;
};

// A function that the process runs itself, at its next turn.
struct inspection {
  explicit inspection(std::move_only_function<void(process&)> given) : look(std::move(given)) {}
  std::move_only_function<void(process&)> look;
};

enum class push_outcome { pushed, dead, full };

struct process_private {
  static constexpr std::uint64_t tag_mask = 0xffffull << 48;
  static constexpr std::uint64_t empty = 0, waiting = 1, closed = 2;
  static constexpr std::int32_t slice_budget = 1000;
  static constexpr std::uint8_t traps = 1, doomed = 2, timed = 4, refuses = 8, has_timer = 16, guarded = 32,
                                overran = 64;

  // `id` of an exit message that the runtime made: one that a process wrote itself has none.
  static constexpr std::uint64_t exit_by_link = 1, exit_by_asking = 2;
  static constexpr std::uint8_t own = 128;  // beside the trace flags: of the node itself, see own.hpp

  [[nodiscard]] static std::uint64_t tag_of(std::uint32_t generation) noexcept {
    return static_cast<std::uint64_t>(static_cast<std::uint16_t>(generation)) << 48;
  }
  [[nodiscard]] static bool is_by_thread(const process& p) noexcept {
    return p.trace_.load(std::memory_order_relaxed) & trace_flag::by_thread;
  }
  [[nodiscard]] static bool is_pillar(const core& home, pid p) noexcept;
  [[nodiscard]] static bool is_own(const process& p) noexcept { return p.trace_.load(std::memory_order_relaxed) & own; }
  [[nodiscard]] static process* make_in(void* memory) { return ::new (memory) process(); }

  // -- from any thread
  [[nodiscard]] static push_outcome push(process& p, std::uint32_t generation, envelope* e) noexcept;
  [[nodiscard]] static bool is_handed_over(const process& p, signal kind) noexcept;
  static void make_runnable(process& p) noexcept;
  // What a message and its bytes add to the counts of its mailbox: one in the upper 28 bits, its bytes in steps of 16
  // in the others. Of a difference of two counts, which may be below zero for a moment, both are signed.
  static constexpr unsigned count_shift = 36, bytes_shift = 4;
  [[nodiscard]] static std::uint64_t weight(const envelope& e) noexcept {
    return (std::uint64_t{1} << count_shift) + ((std::uint64_t{e.bytes} + 15) >> bytes_shift);
  }
  static void weigh(envelope& e) noexcept;  // writes `bytes`: before it is counted for the first time
  [[nodiscard]] static std::uint64_t load(const process& p) noexcept {
    // What is taken is counted at once, what arrives a moment after its push.
    const std::uint64_t taken = p.taken_.load(std::memory_order_relaxed);
    return p.arrived_.load(std::memory_order_relaxed) - taken;
  }
  [[nodiscard]] static std::int64_t bytes_in(std::uint64_t load) noexcept {
    constexpr unsigned above = 64 - count_shift;
    return (static_cast<std::int64_t>(load << above) >> above) * (1 << bytes_shift);
  }
  [[nodiscard]] static std::int64_t messages_in(std::uint64_t load) noexcept {
    return static_cast<std::int64_t>(load - static_cast<std::uint64_t>(bytes_in(load) >> bytes_shift)) >> count_shift;
  }
  [[nodiscard]] static bool is_full(const process& p) noexcept;
  [[nodiscard]] static process_summary summary(const process& p, const node_life* life) noexcept;

  // -- by the process's own thread
  static void run_slice(runnable& what);
  [[nodiscard]] static bool has_arrivals(const process& p) noexcept {
    return (p.inbox_.load(std::memory_order_relaxed) & ~tag_mask) > closed;
  }
  static void fetch(process& p);  // takes what has arrived, handles signals in order
  static void handle_signal(process& p, envelope* e);
  static void handle_exit(process& p, envelope* e);
  static void exit_self(process& p, exit_reason reason);  // returns when that is a message to it
  static void refuse_exit(process& p, const envelope& e, const exit_reason& reason);
  static void handle_down(process& p, envelope* e);
  static void handle_timer(process& p);
  static void append(process& p, envelope* e) noexcept;
  static void doom(process& p, exit_reason reason);
  [[nodiscard]] static bool complete_wait(process& p);  // true: the coroutine can go on
  [[nodiscard]] static envelope* take_message(process& p, wait_state& wait);
  [[nodiscard]] static bool park(process& p);
  static void finish(process& p, const exit_reason& reason);
  static void finish_signals(process& p, const exit_reason& reason);
  static void tell_end(process& p, const exit_reason& reason);  // links and monitors
  [[nodiscard]] static exit_reason reason_of(std::exception_ptr failure) noexcept;
  [[nodiscard]] static cold_part& cold(process& p);
  static void answer_dropped(process& p, const exit_reason* ending);
  static void arm(process& p, time_point when);  // its one entry, wherever that stood
  static void yield(process& p, std::coroutine_handle<> caller) noexcept;
  static timer start_timer(process& p, duration first, duration period, const address& to, message content);
  static bool cancel_timer(process& p, std::uint64_t id);

  // Must end, by a signal that it has fetched: it is not resumed again.
  [[nodiscard]] static bool is_doomed(const process& p) noexcept { return p.flags_ & doomed; }

  // -- fields, for the files of this folder
  static auto& inbox(process& p) noexcept { return p.inbox_; }
  static auto& generation(process& p) noexcept { return p.generation_; }
  static const auto& generation(const process& p) noexcept { return p.generation_; }
  static auto& index(process& p) noexcept { return p.index_; }
  static auto& core_of(process& p) noexcept { return p.core_; }
  static auto& cold_of(process& p) noexcept { return p.cold_; }
  static auto& root(process& p) noexcept { return p.root_; }
  static auto& next(process& p) noexcept { return p.next_; }
  static auto& wait(process& p) noexcept { return p.wait_; }
  static auto& leader(process& p) noexcept { return p.leader_; }
  static auto& entry(process& p) noexcept { return p.entry_; }
  static auto& parent(process& p) noexcept { return p.parent_; }
  static auto& memory(process& p) noexcept { return p.memory_; }
  static auto& trace(process& p) noexcept { return p.trace_; }
  static auto& budget(process& p) noexcept { return p.budget_; }
  static auto& status(process& p) noexcept { return p.status_; }
  static auto& flags(process& p) noexcept { return p.flags_; }
  static auto& held(const process& p) noexcept { return const_cast<process&>(p).held_; }
  // A slow node holds it, and it neither waits for the answer of a call nor was interrupted.
  [[nodiscard]] static bool is_held(const process& p) noexcept {
    return p.held_ && !(p.wait_ && (p.wait_->reply_id || p.wait_->timed_out || p.wait_->for_credit));
  }
  static auto& first(process& p) noexcept { return p.first_; }
  static auto& last(process& p) noexcept { return p.last_; }
  static auto& scanned(process& p) noexcept { return p.scanned_; }
  static void clear_count(process& p) noexcept {
    p.arrived_.store(0, std::memory_order_relaxed);
    p.taken_.store(0, std::memory_order_relaxed);
  }
  // By whose the process is: the thread that runs it, which alone takes, or that which has taken its `waiting` mark,
  // whose message takes one back: a counter of many writers costs as much as the push.
  static void count_taken(process& p, const envelope& e) noexcept {
    p.taken_.store(p.taken_.load(std::memory_order_relaxed) + weight(e), std::memory_order_relaxed);
  }
  static void count_arrived(process& p, const envelope& e) noexcept {
    p.taken_.store(p.taken_.load(std::memory_order_relaxed) - weight(e), std::memory_order_relaxed);
  }
  static auto& armed(process& p) noexcept { return p.armed_; }
  static auto& reductions(process& p) noexcept { return p.reductions_; }
};

// The process whose code runs on this thread; null outside of processes. Not inline: thread_local.
[[nodiscard]] process* running_process() noexcept;
void set_running_process(process* p) noexcept;

// The name of an exception's type, readable.
[[nodiscard]] std::string exception_type_name();

}  // namespace troupe::detail
