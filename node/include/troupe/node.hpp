#pragma once
// A node: a machine for processes, and when it has a name, a member of a cluster. An object: a program may hold
// several, and one made by hand touches no signal, no stdio, no resource limit and no main loop (node/DESIGN.md).
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <troupe/catalogue.hpp>
#include <troupe/handle.hpp>
#include <troupe/limits.hpp>
#include <troupe/log.hpp>
#include <troupe/plain_text.hpp>
#include <troupe/process.hpp>
#include <troupe/time.hpp>
#include <troupe/transport_kind.hpp>

namespace troupe {

// automatic: a visible node connects to every visible node that those it meets are connected to (OTP's default).
// explicit_only: to those alone that its processes or its configuration name.
enum class mesh_policy : std::uint8_t { automatic, explicit_only };

// What global names and locks do while nodes disagree about who is there (node/GLOBAL.md). islands: within seconds the
// nodes fall into groups in which each sees each, and every group goes on by itself. keep: nobody is given a name or a
// lock until all agree again. quorum: as islands, but only a group with more than half of the nodes goes on.
enum class partition_policy : std::uint8_t { islands, keep, quorum };

struct node_options {
  std::string name;                 // "exercise" or "exercise@localhost"; empty: not alive, nobody can connect
  bool hidden = false;              // connects without being listed
  bool tool = false;                // a shell, rpc or trace: hidden, never listens, ticks every second
  bool distribution = true;         // false: only the control endpoint of this host, for tools
  std::vector<std::string> listen;  // further endpoints, "tcp://127.0.0.1:0"; the host's ipc endpoint always is
  // Told to other nodes in place of `listen`, when they reach this one elsewhere: a name, a NAT, a container.
  std::vector<std::string> advertise;
  // Nodes that this one connects to by itself, again whenever they are lost: "node2@localhost", found in the run
  // directory, or "node2@hostb=tcp://hostb:4370". A tool only learns where they are.
  std::vector<std::string> peers;
  mesh_policy mesh = mesh_policy::automatic;
  partition_policy partition = partition_policy::islands;  // the same on every node
  // Globs of node names, "exercise-*@hostb". Tools of this host are always let in. Empty: all, none.
  std::vector<std::string> allow_nodes, deny_nodes;
  // Start waits until these are connected and global names are one with theirs. After `wait_within` it fails
  // (noconnection names those missing), or goes on when `wait_optional`.
  std::vector<std::string> wait_for;
  duration wait_within = std::chrono::seconds(7);
  bool wait_optional = false;
  troupe::plain_text plain_text = troupe::plain_text::on_loopback;  // where tcp may go without encryption
  // Who carries connections. direct is faster; each understands the other (bus/README.md).
  transport_kind transport = transport_kind::direct;
  std::string cookie;                   // empty: only the control key opens this node
  std::filesystem::path run_directory;  // empty: where TROUPE_RUN_DIR or the user's default says
  std::string application, version;     // what tools show
  catalogue offers;
  unsigned workers = 0;  // 0: cores - 1, at least two
  std::size_t max_processes = 1u << 22;
  std::size_t mailbox_limit = 0;  // messages that wait for a process; 0: unbounded but counted
  std::size_t mailbox_bytes = 0;  // and their bytes
  limits wire;
  // A process that holds its worker longer is reported in the log while it does, with pid, name and entry. 0: never.
  duration stall_after = std::chrono::milliseconds(100);
  bool encode_always = false;             // for tests: local messages, calls and replies are encoded too
  std::shared_ptr<troupe::clock> clock;   // empty: the system's
  std::shared_ptr<random_source> random;  // empty: the system's
  std::shared_ptr<log_sink> log;          // empty: lines are dropped (run() gives its own)
};

// Thread-safe but for start and stop, which belong to the owner. Every process ends with it: the roots first, in
// reverse order, then all others at once.
class node {
 public:
  // Errors: bad_name, name_taken (names the holder), io, not_allowed (run directory, cookie file), bad_config.
  [[nodiscard]] static result<std::unique_ptr<node>> start(node_options options);
  // Stops it, and waits, without bound, for what C++ cannot end: functions of blocking() and processes that hold their
  // worker run to their end, because they may still use what the program would take away.
  ~node();
  node(const node&) = delete;
  node& operator=(const node&) = delete;

  // Ends all processes (those registered as roots first, in reverse order, with `shutdown`) and leaves the cluster.
  // True when everything ended within `limit`; what had not is killed, which a process that holds its worker notices
  // when it lets go: 5 s more are waited for it. Idempotent.
  bool stop(duration limit = std::chrono::seconds(30));

  [[nodiscard]] const std::string& name() const noexcept;  // "nonode@nohost" when not alive
  [[nodiscard]] bool alive() const noexcept;
  [[nodiscard]] const node_life* life() const noexcept;
  [[nodiscard]] const node_options& options() const noexcept;
  [[nodiscard]] const troupe::catalogue& offers() const noexcept;
  [[nodiscard]] troupe::clock& clock() const noexcept;
  [[nodiscard]] random_source& random() const noexcept;
  [[nodiscard]] logger log() const;

  // -- local processes
  template <class T>
  void send(const address& to, T&& content) {
    send_envelope(to, detail::as_message(std::forward<T>(content)).release());
  }
  [[nodiscard]] result<pid> whereis(std::string_view name) const;             // errc::noproc
  [[nodiscard]] std::vector<std::pair<std::string, pid>> registered() const;  // sorted by name
  [[nodiscard]] std::vector<pid> processes() const;                           // a snapshot, by id
  [[nodiscard]] std::size_t process_count() const noexcept;
  [[nodiscard]] bool exists(pid p) const noexcept;  // a local pid that has not ended
  void exit(pid p, exit_reason reason);

  // For a thread of the program, which then has a mailbox of its own.
  [[nodiscard]] result<std::unique_ptr<handle>> make_handle();

  // The processes that stop() ends in order: supervisors of applications. Reverse order of adding.
  void add_root(pid root);
  [[nodiscard]] std::vector<pid> roots() const;

  // -- wiring: for the layers above the runtime, not for programs
  explicit node(std::unique_ptr<detail::core> core);
  [[nodiscard]] detail::core& core() const noexcept { return *core_; }

 private:
  void send_envelope(const address& to, detail::envelope* e);
  std::unique_ptr<detail::core> core_;
};

}  // namespace troupe
