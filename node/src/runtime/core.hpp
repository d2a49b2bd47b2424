#pragma once
// The machine: processes, names, signals. Knows no network and no behaviour; what lies above comes in through the three
// interfaces declared here.
//
// Design notes
// * A process's control block is a slot of the process table, never freed while the core lives, so a stale pointer is
//   always readable; a pid's id is generation << 32 | index.
// * `inbox` is one word: the upper 16 bits are the low bits of the generation, the rest is a stack of envelopes, or
//   `waiting` (parked: whoever pushes must schedule it) or `closed`. A push looks at the whole generation, then
//   compares and swaps that word: it can only reach the life of the process that its sender meant.
// * Everything between processes is a signal in that one queue: messages, links, exits, monitors, inspections. The
//   receiver handles them in order when it fetches, so the order of each pair holds for all of them.
// * A process has one timer entry at most, at the earliest of its wait's deadline and its own timers. A wait that ends
//   early leaves it where it is, so that the next one, whose deadline is later, needs no lock; when it fires the
//   process looks what is due, and arms it anew. It goes with its process.
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <span>
#include <string>
#include <typeindex>
#include <unordered_map>
#include <vector>

#include <troupe/node.hpp>

#include "runtime/process_table.hpp"
#include "runtime/text_hash.hpp"

namespace troupe::internal {
class scheduler;
using detail::runnable;
}  // namespace troupe::internal

namespace troupe::detail {

// Signals for processes elsewhere. `dist` is one; without it they are answered with noconnection.
// Takes ownership of `e`. Called on any thread; never blocks. errc::none: on its way, or waiting for a connection.
class router {
 public:
  virtual ~router() = default;
  virtual errc route(pid to, envelope* e) = 0;
  // To a name on another node. A monitor or call answers noproc or noconnection to e->from.
  virtual errc route(const std::string& name, const std::string& node, envelope* e) = 0;
};

// Watches the machine: traces, crash reports, counters. Every hook is called on the thread of the process concerned and
// must neither block nor throw. Hooks of a traced process are called only while its trace flag is set.
class probe {
 public:
  virtual ~probe() = default;
  virtual void received(process& self, const envelope& e) = 0;  // put into its mailbox
  virtual void sent(process& self, const address& to, const envelope& e) = 0;
  virtual void called(process& self, std::string_view function, list arguments) = 0;
  virtual void returned(process& self, std::string_view function, const value& result) = 0;
  virtual void spawned(process& child, pid parent) = 0;                           // life events: always
  virtual void named(process& self, std::string_view name, bool registered) = 0;  // called, so keep cheap
  virtual void exited(process& self, const exit_reason& reason) = 0;
};

// Bits of process::flags / trace flags.
namespace trace_flag {
inline constexpr std::uint8_t named = 1;       // not a trace: has a local name
inline constexpr std::uint8_t server = 2;      // not a trace: answers sys.get_state
inline constexpr std::uint8_t by_thread = 4;   // not a trace: a `handle`, woken through its port
inline constexpr std::uint8_t supervisor = 8;  // not a trace: answers supervisor.which_children
inline constexpr std::uint8_t receive = 16, send = 32, call = 64, all = receive | send | call;
}  // namespace trace_flag

enum class process_status : std::uint8_t { runnable, running, waiting, exiting };
[[nodiscard]] std::string_view to_string(process_status status) noexcept;

// What can be read of a process without disturbing it.
struct process_summary {
  pid id;
  std::string_view entry;
  process_status status = process_status::waiting;
  bool server = false, supervisor = false;
  std::size_t queued = 0, memory = 0;
  std::uint64_t reductions = 0;
};

// Where a process keeps messages that it has looked at and put aside (a Lua state): they still wait. Asked on the
// process's own thread.
class set_aside {
 public:
  virtual void show(list& messages, std::size_t most) const = 0;  // oldest first

 protected:
  ~set_aside() = default;
};

// Asked of the process itself, which fills it at its next turn.
struct process_details {
  process_summary summary;
  std::string name, label, waits_at;  // "file.cpp:12" of the await it is parked on
  std::optional<address> calls;       // whose answer it waits for
  std::vector<pid> links;
  std::vector<std::pair<ref, std::string>> monitors;
  std::vector<pid> monitored_by;
  pid group_leader, parent;
  bool trap_exits = false, held = false;
  map metadata;
  list messages;  // the first `message_limit`, when asked for
};

// Counters with a reason each; "nothing is dropped silently".
struct core_counters {
  std::atomic<std::uint64_t> dead_letters_noproc{0}, dead_letters_noname{0}, dead_letters_noconnection{0},
      mailbox_refused{0}, late_replies{0}, print_dropped{0},
      not_understood{0},  // messages to the node's own processes that these do not know
      exits_refused{0},   // exit signals that a pillar of the node did not obey
      timers_skipped{0},  // beats of send_interval that came a whole period late
      crashed{0},         // ended for another reason than normal or shutdown
      stalls{0};  // slices that held a worker longer than `stall_after`, each time that one was due for a report
};

// Attached to a node by a layer above, found by its type, destroyed in reverse order of attaching.
class service {
 public:
  virtual ~service() = default;
  virtual void stop(time_point deadline) { (void)deadline; }  // before the processes are gone
};

// Who ends the program when a tool asks a node to stop. Attached by run(); an embedded node has none.
class node_stopper : public service {
 public:
  // Returns at once: within which time the program is gone.
  virtual duration request_stop(std::string why) = 0;
};

struct core_options {
  held_life life;
  std::shared_ptr<troupe::clock> clock;
  std::shared_ptr<random_source> random;
  std::shared_ptr<internal::scheduler> scheduler;
  std::shared_ptr<log_sink> log;
  node_options node;
};

// Owner: its node. Thread-safe unless said otherwise.
class core {
 public:
  explicit core(core_options options);
  ~core();

  // -- signals
  errc deliver(pid to, envelope* e);  // local or through the router; takes ownership; why it reached nobody
  errc deliver(const address& to, envelope* e);
  // What a signal that reached nobody is answered with: DOWN for a monitor, EXIT for a link, an error for a call.
  void undeliverable(pid to, envelope* e, errc why);
  void undeliverable(const address& to, envelope* e, errc why);
  void answer_call(pid caller, std::uint64_t id, error why);
  void set_router(router* r) noexcept { router_ = r; }
  void set_probe(probe* p) noexcept { probe_ = p; }
  void set_directory(name_directory* d) noexcept { directory_.store(d, std::memory_order_release); }
  // The pid behind a local or global name, as this node knows it. errc::noproc.
  [[nodiscard]] result<pid> find_name(const address& to) const;
  [[nodiscard]] probe* watching() const noexcept { return probe_; }
  // The process that runs on this thread, when it may be parked (when_full); `hold` parks it at its next wait, until
  // it gets as many `relieved`. For the router.
  [[nodiscard]] static pid holdable() noexcept;
  static bool hold() noexcept;  // false: by as many nodes as can be counted already
  // It went on without waiting until too much lay here: it ends at its next wait, trapping exits or not, and what it
  // sends to other nodes from now on is refused (`overran`), so that nothing follows what was lost.
  static void overrun(const exit_reason& why);
  [[nodiscard]] static bool overran(pid who) noexcept;

  // -- processes
  [[nodiscard]] bool is_local(pid p) const noexcept { return p.life_key() == life_key_; }
  [[nodiscard]] bool exists(pid p) const noexcept;
  [[nodiscard]] std::vector<pid> processes() const;
  [[nodiscard]] std::size_t process_count() const noexcept { return table_.live(); }
  [[nodiscard]] std::uint64_t spawned() const noexcept {
    return table_.begun() - abandoned_.load(std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t exited() const noexcept {
    return table_.ended() - abandoned_.load(std::memory_order_relaxed);
  }
  [[nodiscard]] std::optional<process_summary> summary(pid p) const;
  // A control block, not yet reachable by its pid. errc: system_limit, shutting_down.
  [[nodiscard]] result<process*> take_slot();
  void open_slot(process& p, pid leader, bool by_thread = false) noexcept;  // its mailbox accepts from here on
  void abandon_slot(process& p) noexcept;                                   // never opened
  void retire(process& p);  // opened, its mailbox closed again: the last act of its own thread
  // Runs `look` in the process at its next turn, on its thread. False, and `look` is gone unrun, when it has ended.
  bool inspect(pid p, std::move_only_function<void(process&)> look);
  [[nodiscard]] static process_details details(process& self, std::size_t message_limit);  // inside `inspect`
  // Sets exactly these trace flags; false when the process has ended.
  bool set_trace(pid p, std::uint8_t flags);
  // Inside `inspect`: whatever this process waits for ends at once as if its time were over. How an evaluation is
  // interrupted without ending its process.
  static void expire_wait(process& self) noexcept {
    if (self.wait_ && self.wait_->may_expire) self.wait_->timed_out = true;
  }
  // The messages that `self` has put aside are shown too; null: it keeps none any more.
  static void shows_too(process& self, set_aside* aside);
  // A slow node holds it: `take_credit` waits, until `deadline` at most, until it does not. `let_go`: it goes on
  // whatever still waits to leave.
  [[nodiscard]] static bool is_held(const process& self) noexcept { return self.held_ != 0; }
  [[nodiscard]] static task<> take_credit(process& self, time_point deadline);
  static void let_go(process& self) noexcept { self.held_ = 0; }

  // -- names
  result<void> register_name(pid p, std::string_view name);
  bool unregister_name(std::string_view name);
  [[nodiscard]] std::string name_of(pid p) const;  // empty when it has none
  [[nodiscard]] result<pid> whereis(std::string_view name) const;
  [[nodiscard]] std::vector<std::pair<std::string, pid>> registered() const;

  // -- services
  template <class T>
  T& attach(std::unique_ptr<T> made) {
    T& out = *made;
    add_service(typeid(T), std::move(made));
    return out;
  }
  template <class T>
  [[nodiscard]] T* find() const noexcept {
    return static_cast<T*>(find_service(typeid(T)));
  }

  [[nodiscard]] const node_life* life() const noexcept { return life_; }
  [[nodiscard]] const node_options& options() const noexcept { return options_.node; }
  [[nodiscard]] troupe::clock& clock() const noexcept { return *options_.clock; }
  [[nodiscard]] random_source& random() const noexcept { return *options_.random; }
  [[nodiscard]] internal::scheduler& scheduler() const noexcept { return *options_.scheduler; }
  [[nodiscard]] std::shared_ptr<internal::scheduler> shared_scheduler() const noexcept { return options_.scheduler; }
  [[nodiscard]] log_sink* log() const noexcept { return options_.log.get(); }
  [[nodiscard]] std::uint64_t next_ref() noexcept { return refs_.fetch_add(1, std::memory_order_relaxed); }
  [[nodiscard]] core_counters& counters() noexcept { return counters_; }
  // Where output goes that has no other leader: the node's own `user` process.
  [[nodiscard]] pid default_leader() const noexcept { return user_; }
  void set_default_leader(pid p) noexcept { user_ = p; }
  [[nodiscard]] bool stopping() const noexcept { return stopping_.load(std::memory_order_acquire); }
  void begin_stop() noexcept { stopping_.store(true, std::memory_order_release); }
  // Kills every process, waits until all are gone or `deadline`. Idempotent.
  bool end_processes(time_point deadline);
  void wait_gone(std::span<const pid> which, time_point deadline);
  void add_root(pid root);
  [[nodiscard]] std::vector<pid> roots() const;
  [[nodiscard]] bool stop(duration limit);

  // -- threads that are held
  // Told by the scheduler's watch while a process holds its worker.
  static void report_stall(internal::runnable& what, duration held);
  // What still holds a thread, one line each: "process <pid> (resizer), for 3.2 s".
  [[nodiscard]] std::vector<std::string> held_threads() const;

  node* owner = nullptr;

 private:
  void give_back(process& p) noexcept;  // its slot, which counts as free already
  friend struct process_private;
  void forget_name(pid p);
  void add_service(std::type_index type, std::unique_ptr<service> made);
  [[nodiscard]] service* find_service(std::type_index type) const noexcept;
  // Whatever lives there now; null when never used.
  [[nodiscard]] process* slot(std::uint64_t id) const noexcept { return table_.at(id); }

  core_options options_;
  const node_life* life_;
  std::uint64_t life_key_;
  router* router_ = nullptr;
  probe* probe_ = nullptr;
  std::atomic<name_directory*> directory_{nullptr};
  pid user_;
  std::atomic<std::uint64_t> refs_{1};
  std::atomic<bool> stopping_{false};
  core_counters counters_;

  process_table table_;
  std::atomic<std::uint64_t> abandoned_{0};  // blocks that were taken for a process which never began
  // By the watch alone.
  std::chrono::steady_clock::time_point stall_window_{};
  unsigned stalls_told_ = 0, stalls_untold_ = 0;
  std::mutex gone_mutex_;
  std::condition_variable gone_;  // told of every end once the node stops

  mutable std::shared_mutex names_mutex_;
  std::unordered_map<std::string, pid, internal::text_hash, std::equal_to<>> names_;
  std::unordered_map<pid, const std::string*> named_;  // keys of the other

  mutable std::mutex services_mutex_;
  std::vector<std::pair<std::type_index, std::unique_ptr<service>>> services_;
  std::vector<pid> roots_;
};

// A node with nothing above the runtime: for tests of the layers, and what node::start builds upon.
struct bare_node_options {
  std::string name = std::string(nonode);
  std::uint64_t creation = 1;
  std::shared_ptr<troupe::clock> clock;
  std::shared_ptr<random_source> random;
  std::shared_ptr<internal::scheduler> scheduler;  // empty: one of its own with `workers` threads
  unsigned workers = 1;
  std::shared_ptr<log_sink> log;
  node_options node;
};
[[nodiscard]] std::unique_ptr<node> make_bare_node(bare_node_options options = {});

}  // namespace troupe::detail
