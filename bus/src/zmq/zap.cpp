#include "zmq/zap.hpp"

#include <array>
#include <cstring>

namespace troupe::bus::internal {
namespace {

constexpr const char* address = "inproc://zeromq.zap.01";
constexpr int requests_a_turn = 256;
// Version, request id, domain, address, routing id, mechanism, and for CURVE the key.
enum part : std::size_t { version, request_id, domain, peer_address, routing_id, mechanism, credentials, parts };

}  // namespace

class zap_handler::reader final : public watched {
 public:
  reader(zap_handler& owner, watch_list& list) : watched(list), owner_(owner) {}
  bool read() override { return owner_.read(); }

 private:
  zap_handler& owner_;
};

result<std::shared_ptr<zap_handler>> zap_handler::of(const std::shared_ptr<zmq_context>& context, system_loop& loop) {
  if (auto running = context->zap().lock()) return running;
  auto made = std::make_shared<zap_handler>(loop);
  if (auto opened = made->open(context); !opened) return opened.error();
  context->zap() = made;
  return made;
}

zap_handler::zap_handler(system_loop& loop) : loop_(loop), list_(loop) {}

zap_handler::~zap_handler() { shut(); }

result<void> zap_handler::open(const std::shared_ptr<zmq_context>& context) {
  if (zmq_has("curve") == 0) return error(errc::unsupported, "this libzmq was built without CURVE: it cannot encrypt");
  auto made = std::make_unique<reader>(*this, list_);
  auto socket = zmq_socket_handle::open(context, zmq::socket_type::rep);
  if (!socket) return socket.error();
  made->socket = std::move(*socket);
  if (!made->socket.set(zmq::sockopt::linger, 0)) return zmq_failure(errc::io, "the check of keys cannot be set up");
  if (auto bound = made->socket.bind(address); !bound) return bound;
  if (auto added = list_.add(*made); !added) return added;
  reader_ = std::move(made);
  loop_.add(*this);
  return {};
}

void zap_handler::shut() {
  if (!reader_) return;
  loop_.remove(*this);
  list_.remove(*reader_);
  static_cast<void>(reader_->socket.unbind(address));  // closing does it too, but later, in libzmq's own time
  reader_->socket.close();
  reader_.reset();
}

std::string zap_handler::admit(const channel_key& key, std::string mark) {
  std::string name = "troupe-" + std::to_string(++last_domain_);
  domains_.emplace(name, permit{key, std::move(mark)});
  return name;
}

appetite zap_handler::turn() {
  list_.read_all();
  list_.look_all();
  return list_.hungry() ? appetite::now : appetite::none;
}

bool zap_handler::read() {
  for (int i = 0; i < requests_a_turn; ++i) {
    std::vector<std::string> request;
    for (bool more = true; more;) {
      zmq_message message;
      if (reader_->socket.receive(message) != zmq_outcome::done) return false;
      more = message.more();
      request.emplace_back(message.text());
    }
    answer(request.size() > request_id ? request[request_id] : std::string(), judge(request));
  }
  return true;
}

const zap_handler::permit* zap_handler::judge(const std::vector<std::string>& request) const {
  if (request.size() != parts || request[version] != "1.0" || request[mechanism] != "CURVE") return nullptr;
  const auto found = domains_.find(request[domain]);
  if (found == domains_.end()) return nullptr;
  const channel_key& key = found->second.key;
  const bool known = request[credentials].size() == key.size() &&
                     std::memcmp(request[credentials].data(), key.data(), key.size()) == 0;  // a public key: no secret
  return known ? &found->second : nullptr;
}

void zap_handler::answer(const std::string& id, const permit* who) {
  const std::array<std::string_view, 6> reply{"1.0",
                                              id,
                                              who != nullptr ? "200" : "400",
                                              who != nullptr ? "" : "another key",
                                              who != nullptr ? std::string_view(who->mark) : std::string_view(),
                                              ""};
  list_.sent_on(*reader_);
  for (std::size_t i = 0; i < reply.size(); ++i) {
    if (!reader_->socket.send(reply[i], i + 1 < reply.size())) return;
  }
}

}  // namespace troupe::bus::internal
