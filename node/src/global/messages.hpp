#pragma once
// What the processes `troupe.global` of the nodes tell each other, and what is asked of them. All are plain messages
// and calls; node/GLOBAL.md says what they mean to a stranger.
#include "global/claims.hpp"

namespace troupe::internal {

// -- from the service of this node, never from elsewhere
struct peer_note {
  std::string id;
  std::uint64_t session = 0;  // of the connection to it
  bool up = false;
  TROUPE_MESSAGE(peer_note, "global.peer", id, session, up)
};

// -- a member to another that sees nodes which it does not: who they are
struct lives_asked {
  std::vector<std::uint64_t> hashes;
  TROUPE_MESSAGE(lives_asked, "global.who", hashes)
};
struct lives_named {
  std::vector<std::string> ids;
  TROUPE_MESSAGE(lives_named, "global.these", ids)
};

// -- an owner to everybody
struct claims_told {
  std::vector<claim> claims;
  bool whole = false;  // all that went before is void
  TROUPE_MESSAGE(claims_told, "global.claims", claims, whole)
};
struct claim_released {
  bool lock = false;
  value name;
  std::uint64_t number = 0;
  TROUPE_MESSAGE(claim_released, "global.released", lock, name, number)
};

// -- an owner to the key's arbiter, and back
struct claim_asked {
  std::uint64_t id = 0;   // becomes the claim's number
  std::uint64_t row = 0;  // of the owner: what was granted counts only while it is that
  bool lock = false;
  value name;
  pid holder;
  value requester;
  bool move = false;           // take it from whoever has it
  std::int64_t waited_us = 0;  // up to now: who has waited longest is first
  bool once = false;           // refused at once when another has the lock
  [[nodiscard]] std::string text() const { return (lock ? "the lock " : "the global name ") + name.print(4, 100); }
  TROUPE_MESSAGE(claim_asked, "global.ask", id, row, lock, name, holder, requester, move, waited_us, once)
};
struct ask_withdrawn {
  std::uint64_t id = 0;
  bool lock = false;
  value name;
  TROUPE_MESSAGE(ask_withdrawn, "global.withdraw", id, lock, name)
};
struct claim_granted {
  std::uint64_t id = 0, row = 0;
  std::int64_t fence = 0;
  std::string over_owner;  // the claim whose place it takes
  std::uint64_t over = 0;
  TROUPE_MESSAGE(claim_granted, "global.granted", id, row, fence, over_owner, over)
};
struct claim_refused {
  std::uint64_t id = 0, row = 0;
  pid holder;
  std::string silent;  // instead of a holder: the node that was given it and does not answer
  TROUPE_MESSAGE(claim_refused, "global.refused", id, row, holder, silent)
};

// -- to a member that something waits for, and back: what is queued may wait long, a process that does not run for ever
struct member_questioned {
  std::uint64_t round = 0;
  TROUPE_MESSAGE(member_questioned, "global.alive", round)
};
struct member_answered {
  std::uint64_t round = 0;
  TROUPE_MESSAGE(member_answered, "global.here", round)
};

// -- the arbiter to the owner of a claim, and back
struct claim_questioned {
  value name;
  std::uint64_t number = 0;
  TROUPE_MESSAGE(claim_questioned, "global.check", name, number)
};
struct claim_affirmed {  // a claim that is none any more is answered by its release
  value name;
  std::uint64_t number = 0;
  TROUPE_MESSAGE(claim_affirmed, "global.checked", name, number)
};
struct claim_revoked {
  bool lock = false;
  value name;
  std::uint64_t number = 0;
  bool conflict = false;  // else it was moved: nobody is told
  pid winner;
  TROUPE_MESSAGE(claim_revoked, "global.revoke", lock, name, number, conflict, winner)
};
struct clash_settled {  // from the process that ran a resolver, to the arbiter that began it
  std::string key;
  std::uint64_t round = 0;
  pid winner;
  std::string failure;
  TROUPE_MESSAGE(clash_settled, "global.settled", key, round, winner, failure)
};

// -- calls of processes
struct register_asked {  // answered with the pid that has the name then
  value name;
  pid process;
  std::string resolver;
  bool move = false;
  std::int64_t within_us = 0;  // -1: for ever
  TROUPE_MESSAGE(register_asked, "global.register", name, process, resolver, move, within_us)
};
struct unregister_asked {
  value name;
  TROUPE_MESSAGE(unregister_asked, "global.unregister", name)
};
struct where_asked {
  value name;
  TROUPE_MESSAGE(where_asked, "global.where", name)
};
struct sync_asked {
  std::int64_t within_us = 0;
  TROUPE_MESSAGE(sync_asked, "global.sync", within_us)
};
struct lock_asked {  // answered with the fencing number
  value resource, requester;
  std::int64_t within_us = 0;  // 0: once; below: for ever
  TROUPE_MESSAGE(lock_asked, "global.lock", resource, requester, within_us)
};
struct unlock_asked {  // answered with whether it was held
  value resource, requester;
  TROUPE_MESSAGE(unlock_asked, "global.unlock", resource, requester)
};
struct locks_asked {  // what is held and waited for by processes of this node
  std::int64_t most = 0;
  TROUPE_MESSAGE(locks_asked, "global.locks", most)
};

}  // namespace troupe::internal
