#pragma once
// The process `troupe.global`: owner of the claims of its node's processes, and arbiter of the keys that fall to it.
//
// Design notes
// * Who holds what is told by the holder's own node alone (the owner), to everybody it is connected to: one writer for
//   each claim, so replicas need no merging, and a new connection begins with all of them.
// * Who may hold it is decided by the key's arbiter in a confirmed view. A grant names the number that the owner's row
//   had when it asked, and counts only while the owner still has that row. So when the members of a next view have all
//   announced it, no grant of the last one can still become a claim, and every claim of theirs is known to its arbiter:
//   claims come before rows on each connection.
// * The arbiter remembers a grant until its owner has claimed or declined it. An ask waits in the queue of its key; the
//   owner asks again, maybe another arbiter, whenever its row changes, and says how long it has waited, so the order of
//   the queue survives.
// * A member that something here waits for (an arbiter that has an ask of ours, an owner that a registration was passed
//   on to, one that was granted what others ask for) is asked every other second whether it lives. When it does not say
//   so, whatever waits for it fails: its connection may be sound although this process of it does not run.
// * Before a name is refused its owner is asked whether the holder still lives: whoever has seen a process end finds
//   its name free, however slow the news.
// * owner.cpp answers this node's processes, patience.cpp ends what they wait for, arbiter.cpp decides, clash.cpp
//   settles what two sides held, views.cpp tells of nodes that see others than this one, keeper.cpp is the rest.
#include <deque>
#include <optional>

#include "global/messages.hpp"
#include "global/service.hpp"

namespace troupe::internal {

[[nodiscard]] task<> keep_global(process& self, global_service* service);

// Owner, thread, lifetime: the process.
class keeper {
 public:
  keeper(process& self, global_service& service);
  void take(message& got);
  void expire();                        // answers what has waited too long
  void turn();                          // after each message, and when something is due
  [[nodiscard]] duration wait() const;  // until something is due

 private:
  // What a process of this node has asked for and not got yet.
  struct pending {
    claim_asked ask;
    std::string resolver;
    message call;
    time_point since, deadline;
    std::string arbiter;  // that it was sent to
  };
  struct own_claim {
    claim what;
    std::map<pid, std::size_t> holders;  // how often each has it: of a lock more than one
  };
  // An ask of a key that this node decides.
  struct queued {
    std::string owner;
    claim_asked ask;
    time_point since;
    std::uint64_t checked = 0;  // number of the claim whose owner was asked
    std::string checked_owner;
    time_point check_until{};
    bool alive = false;  // that claim was affirmed
  };
  struct granted {
    std::string owner;
    std::uint64_t id = 0;
    pid holder;
    value requester;
  };
  // A call that the keeper of another node answers.
  struct passed {
    std::string to;  // member_id
    pid caller;
    std::uint64_t call = 0;
    std::string text;
  };
  // Of a member: when it is asked whether it lives, or by when it must have answered that.
  struct question {
    time_point due;
    std::uint64_t round = 0;  // 0: it has not been asked
  };
  struct clash {
    std::uint64_t round = 0;
    time_point until;
    std::vector<std::pair<std::string, std::uint64_t>> between;
  };

  // keeper.cpp
  void announce();
  void tell_whole(const std::string& id);
  template <class T>
  void tell(const std::string& id, const T& what) {
    self_.send(address(keeper_name, std::string(member_name(id))), T(what));
  }
  template <class T>
  void tell_all(const T& what) {
    for (const auto& [id, session] : current_) tell(id, what);
  }
  [[nodiscard]] duration pace() const;            // between two rows of this node, in the long run
  [[nodiscard]] time_point may_announce() const;  // a few may come at once before
  [[nodiscard]] time_point due() const;
  [[nodiscard]] time_point now() const { return self_.now(); }
  void see_fence(std::int64_t fence) { fence_ = std::max(fence_, fence); }
  void on_peer(const peer_note& note);
  void on_row(const std::string& from, member_row& row);
  void on_claims(const std::string& from, claims_told& told);
  void on_released(const std::string& from, const claim_released& gone);
  void on_sync(message& call, const sync_asked& asked);
  void answer_syncs();

  // views.cpp
  void look_at_views();
  void reach_unseen();
  void say(const view_watch::difference& what);
  void on_lives_asked(const std::string& from, const lives_asked& asked);

  // owner.cpp
  void on_register(message& call, register_asked& asked);
  void on_unregister(message& call, const unregister_asked& asked);
  void on_where(message& call, const where_asked& asked);
  void on_lock(message& call, lock_asked& asked);
  void on_unlock(message& call, const unlock_asked& asked);
  void on_locks(message& call);
  void begin(pending&& wanted, std::int64_t within_us);
  void send_ask(pending& wanted);
  void withdraw(const pending& wanted);
  void fail(pending late, error why);  // taken out of `pending_` already
  void on_granted(const std::string& from, const claim_granted& got);
  void on_refused(const std::string& from, const claim_refused& got);
  void on_check(const std::string& from, const claim_questioned& asked);
  void on_revoke(const std::string& from, const claim_revoked& told);
  void on_down(const down& ended);
  void accept(pending& wanted, const claim_granted& got);
  void decline(const std::string& arbiter, const claim_asked& ask);
  void add_holder(own_claim& held, pid holder);
  void drop_own(std::string key);  // the claim, here and everywhere
  void watch(pid holder);
  void unwatch(pid holder);

  // patience.cpp
  void look_after(const std::string& id);  // something waits for that member
  void pass_on(message&& call, const register_asked& asked);
  [[nodiscard]] bool waits_for(const std::string& id);
  void question_silent();
  void give_up(const std::string& id);
  void on_question(const std::string& from, const member_questioned& asked);
  void on_answer(const std::string& from, const member_answered& told);

  // arbiter.cpp
  void on_ask(const std::string& from, claim_asked& ask);
  void on_withdraw(const std::string& from, const ask_withdrawn& gone);
  void on_checked(const std::string& from, const claim_affirmed& told);
  void run(const std::string& key);
  bool decide_name(const std::string& key, queued& q);  // true: it is done with
  bool decide_lock(const std::string& key, queued& q);
  void grant(const std::string& key, const queued& q, const claim_table::held* over = nullptr);
  void refuse(const queued& q, pid holder, std::string silent = {});
  // Who has to speak before that ask of a name can be decided; empty: nobody.
  [[nodiscard]] std::string blocked_by(const std::string& key, const queued& q);
  void forget_granted(const std::string& owner, const std::string& key, std::uint64_t id);
  void forget_owner(const std::string& owner);
  [[nodiscard]] std::int64_t next_fence();

  // clash.cpp
  void settle_clashes();
  void settle_locks(const std::vector<claim_table::held>& rows);
  void settle_names(const std::string& key, const std::vector<claim_table::held>& rows);
  void run_resolver(const std::string& key, const std::vector<claim_table::held>& rows);
  void on_settled(const clash_settled& outcome);
  void revoke(const claim_table::held& loser, bool conflict, pid winner);
  void revoke_all_but(const std::vector<claim_table::held>& rows, pid winner);

  process& self_;
  global_service& service_;
  const std::string me_;
  std::map<std::string, std::uint64_t> current_;   // sessions that were begun: of the connected members
  std::set<std::string> warned_;                   // of another partition policy
  std::uint64_t announced_ = 0, asked_under_ = 0;  // numbers of this node's row
  unsigned put_off_ = 0;
  time_point paced_until_{};                            // what has been announced is paid for, a `pace` each
  std::optional<std::pair<std::uint64_t, bool>> seen_;  // digest, and whether it could grant: at the last turn
  std::int64_t fence_ = 0;

  std::uint64_t ids_ = 0;
  std::map<std::uint64_t, pending> pending_;
  std::set<std::pair<time_point, std::uint64_t>> deadlines_;
  std::map<std::string, question> questions_;  // by member_id
  std::vector<passed> passed_;                 // some that are over among them
  std::map<std::string, own_claim> own_;
  std::map<pid, std::pair<ref, std::size_t>> watched_;
  std::vector<std::pair<time_point, message>> syncs_;
  time_point reach_at_ = time_point::max();  // nodes that others see are dialled again

  std::map<std::string, std::deque<queued>> queues_;
  std::map<std::string, std::vector<granted>> granted_;
  std::set<std::pair<time_point, std::string>> checks_;
  std::map<std::string, clash> clashes_;
  std::set<std::pair<std::string, std::uint64_t>> revoked_;  // told to their owners, not released yet
  std::uint64_t rounds_ = 0;
};

}  // namespace troupe::internal
