#pragma once
// What the processes `troupe.groups` of the nodes tell each other; what they mean is in node/OTP.md, "Groups".
#include <string>
#include <vector>

#include <troupe/message.hpp>
#include <troupe/value.hpp>

namespace troupe::internal {

// -- from the service of this node, never from elsewhere
struct groups_peer {
  std::string id;
  std::uint64_t session = 0;  // of the connection to it
  bool up = false;
  TROUPE_MESSAGE(groups_peer, "pg.peer", id, session, up)
};
struct groups_watch {  // a process that joined, or subscribed: tell the service when it ends
  pid process;
  TROUPE_MESSAGE(groups_watch, "pg.watch", process)
};
struct groups_scope {  // it was started
  std::string scope;
  TROUPE_MESSAGE(groups_scope, "pg.scope", scope)
};
struct groups_tell {  // to every participant, in this order
  std::string scope;
  std::string what;  // "join", "leave", "create", "delete"
  value group;
  std::vector<pid> members;
  std::uint64_t version = 0;  // of the table with it
  TROUPE_MESSAGE(groups_tell, "pg.tell", scope, what, group, members, version)
};

// -- to the other nodes
struct groups_discover {  // "I have this scope": answered by `groups_sync`, if that side has it too
  std::string scope;
  bool back = false;  // and by a discover of that side's
  TROUPE_MESSAGE(groups_discover, "pg.discover", scope, back)
};
struct groups_sync {  // all that the sender's processes have joined; what was known of them is void
  std::string scope;
  std::vector<value> groups;              // names
  std::vector<std::vector<pid>> members;  // of each
  std::vector<value> created;
  bool more = false;  // a part: the next one belongs to it
  TROUPE_MESSAGE(groups_sync, "pg.sync", scope, groups, members, created, more)
};
struct groups_changed {  // incremental, in the order of happening
  std::string scope;
  std::string what;
  value group;
  std::vector<pid> members;
  TROUPE_MESSAGE(groups_changed, "pg.changed", scope, what, group, members)
};
struct groups_cast {  // one copy, for all members of the receiver's
  std::string scope;
  value group;
  value content;
  TROUPE_MESSAGE(groups_cast, "pg.cast", scope, group, content)
};

}  // namespace troupe::internal
