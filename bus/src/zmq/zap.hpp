#pragma once
// Who may finish the handshake of an encrypted ROUTER: libzmq asks at inproc://zeromq.zap.01 (ZAP 1.0), here it is
// told.
#include <memory>
#include <string>
#include <unordered_map>

#include <troupe/bus/transport.hpp>

#include "system_loop.hpp"
#include "zmq/watched.hpp"

namespace troupe::bus::internal {

// Design notes.
// When nobody is bound there libzmq lets everybody in. So it must be bound before a socket that depends on it listens,
// and stay until the last of them is closed: each holds a share of this. And it must not matter if that ever fails: the
// answer for a known key carries a mark that is drawn at random and told to no peer; libzmq attaches it to every
// message of that connection (as User-Id), and the ROUTER's reader drops what comes without (accepted.cpp). Domains
// tell the sockets of several hubs on one loop apart, each with the one key that it lets in. Owner: the encrypted
// ROUTERs of a context, together; made, used and destroyed on the loop's thread.
class zap_handler final : private loop_source {
 public:
  // The one of this context, bound when this returns.
  [[nodiscard]] static result<std::shared_ptr<zap_handler>> of(const std::shared_ptr<zmq_context>& context,
                                                               system_loop& loop);
  explicit zap_handler(system_loop& loop);
  ~zap_handler() override;

  // A domain whose diallers prove `key`, and what the messages of those are marked with. Its name is for
  // ZMQ_ZAP_DOMAIN.
  [[nodiscard]] std::string admit(const channel_key& key, std::string mark);
  void forget(const std::string& domain) { domains_.erase(domain); }
  // From now on nobody answers; for the end, and for tests of what comes of that.
  void shut();

 private:
  class reader;
  struct permit {
    channel_key key;
    std::string mark;
  };

  [[nodiscard]] result<void> open(const std::shared_ptr<zmq_context>& context);
  appetite turn() override;
  bool read();
  [[nodiscard]] const permit* judge(const std::vector<std::string>& request) const;
  void answer(const std::string& request_id, const permit* who);

  system_loop& loop_;
  watch_list list_;
  std::unique_ptr<reader> reader_;
  std::unordered_map<std::string, permit> domains_;
  std::uint64_t last_domain_ = 0;
};

}  // namespace troupe::bus::internal
