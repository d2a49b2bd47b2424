// What lies below: the same bytes between two OS processes over bare libzmq, and over a plain socket. No node, no
// process, no mailbox, no codec: what no system over that transport can beat by much.
// usage: floor_bench zmq|socket LINE SCALE [ipc|tcp]
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <zmq.h>

#include <cstdint>
#include <cstring>
#include <iostream>
#include <stdexcept>

#include "support.hpp"

using bench::child, bench::emit, bench::now, bench::scaled, bench::seconds_since;

namespace {

constexpr std::size_t packed = 64 * 1024;  // small messages travel in frames of this size, as a node's do
constexpr std::size_t small = 32;

void check(bool good, const char* what) {
  if (!good) throw std::runtime_error(std::string(what) + ": " + zmq_strerror(zmq_errno()));
}

bool over_tcp = false;

// ---- libzmq: DEALER to ROUTER, one I/O thread each, blocking reads, no high-water mark ------------------------------
class peer_socket {
 public:
  explicit peer_socket(int type) : socket_(zmq_socket(context_, type)) {
    const int none = 0;
    zmq_setsockopt(socket_, ZMQ_SNDHWM, &none, sizeof none);
    zmq_setsockopt(socket_, ZMQ_RCVHWM, &none, sizeof none);
    zmq_setsockopt(socket_, ZMQ_LINGER, &none, sizeof none);
  }
  peer_socket(const peer_socket&) = delete;
  peer_socket& operator=(const peer_socket&) = delete;
  ~peer_socket() {
    zmq_close(socket_);
    zmq_ctx_term(context_);
  }
  // Binds, and tells the port or the name through `ready`.
  void bind(int ready) {
    check(zmq_bind(socket_, over_tcp ? "tcp://127.0.0.1:*" : "ipc://*") == 0, "zmq_bind");
    char at[256] = {};
    std::size_t size = sizeof at;
    zmq_getsockopt(socket_, ZMQ_LAST_ENDPOINT, at, &size);
    check(write(ready, at, sizeof at) == sizeof at, "write");
  }
  void connect(int ready) {
    char at[256] = {};
    check(read(ready, at, sizeof at) == sizeof at, "read");
    check(zmq_connect(socket_, at) == 0, at);
  }
  void send(const void* data, std::size_t size, int flags = 0) {
    check(zmq_send(socket_, data, size, flags) >= 0, "zmq_send");
  }
  // The length of one part, or -1 when none waits and `flags` say not to wait.
  int receive(void* data, std::size_t size, int flags = 0) { return zmq_recv(socket_, data, size, flags); }
  [[nodiscard]] void* raw() const { return socket_; }
  [[nodiscard]] void* context() const { return context_; }

 private:
  void* context_ = zmq_ctx_new();
  void* socket_;
};

struct channel {
  channel() { check(pipe(ends) == 0, "pipe"); }
  int ends[2] = {};
};

void zmq_echo(int ready) {
  peer_socket socket(ZMQ_ROUTER);
  socket.bind(ready);
  char id[64], body[256];
  for (;;) {
    const int n = socket.receive(id, sizeof id), m = socket.receive(body, sizeof body);
    socket.send(id, static_cast<std::size_t>(n), ZMQ_SNDMORE);
    socket.send(body, static_cast<std::size_t>(m));
  }
}

void zmq_pingpong(const std::string& line, double scale) {
  channel ready;
  child server([&] { zmq_echo(ready.ends[1]); });
  peer_socket socket(ZMQ_DEALER);
  socket.connect(ready.ends[0]);
  char body[256] = {};
  const int warm = scaled(scale, 500), count = scaled(scale, 5000);
  std::vector<double> us;
  for (int i = 0; i < warm + count; ++i) {
    auto start = now();
    socket.send(body, small);
    socket.receive(body, sizeof body);
    if (i >= warm) us.push_back(bench::micros_since(start));
  }
  bench::percentiles(line, us);
}

// `count` messages of `size`, each a copy of its own, packed into frames unless they are as long; the receiver walks
// them, and answers when it has the first and the last.
void zmq_send_all(const std::string& line, std::size_t size, int count) {
  channel ready;
  child server([&] {
    peer_socket socket(ZMQ_ROUTER);
    socket.bind(ready.ends[1]);
    char id[64];
    zmq_msg_t part;
    zmq_msg_init(&part);
    for (int seen = -1; seen < count;) {
      const int n = socket.receive(id, sizeof id);
      check(zmq_msg_recv(&part, socket.raw(), 0) >= 0, "zmq_msg_recv");
      const char* at = static_cast<const char*>(zmq_msg_data(&part));
      for (const char* end = at + zmq_msg_size(&part); at < end; ++seen) {
        std::uint32_t length = 0;
        std::memcpy(&length, at, sizeof length);
        at += sizeof length + length;
      }
      if (seen != 0 && seen != count) continue;
      socket.send(id, static_cast<std::size_t>(n), ZMQ_SNDMORE);
      socket.send("k", 1);
    }
    for (;;) pause();
  });
  peer_socket socket(ZMQ_DEALER);
  socket.connect(ready.ends[0]);
  const std::vector<char> body(size, 7);
  std::vector<char> frame;
  auto add = [&] {
    const auto length = static_cast<std::uint32_t>(size);
    const std::size_t end = frame.size();
    frame.resize(end + sizeof length + size);
    std::memcpy(frame.data() + end, &length, sizeof length);
    std::memcpy(frame.data() + end + sizeof length, body.data(), size);
  };
  auto flush = [&] {
    if (!frame.empty()) socket.send(frame.data(), frame.size());
    frame.clear();
  };
  char answer[8];
  add();
  flush();
  socket.receive(answer, sizeof answer);
  auto start = now();
  for (int i = 0; i < count; ++i) {
    add();
    if (frame.size() + size + 4 > packed) flush();
  }
  flush();
  socket.receive(answer, sizeof answer);
  const double took = seconds_since(start);
  if (size > packed) emit(line, static_cast<double>(size) * count / took / 1e6, "MB/s");
  else emit(line, count / took, "msgs/s");
}

// So many requests are always under way; both sides take all that has come and answer it in one frame.
void zmq_calls(const std::string& line, int at_once, int count) {
  channel ready;
  child server([&] {
    peer_socket socket(ZMQ_ROUTER);
    socket.bind(ready.ends[1]);
    char id[64];
    std::vector<char> in(packed * 2), out;
    for (;;) {
      int n = socket.receive(id, sizeof id);
      while (n >= 0) {
        const int m = socket.receive(in.data(), in.size());
        out.insert(out.end(), in.data(), in.data() + m);
        const int next = out.size() > packed ? -1 : socket.receive(id, sizeof id, ZMQ_DONTWAIT);
        if (next < 0) break;
        n = next;
      }
      socket.send(id, static_cast<std::size_t>(n), ZMQ_SNDMORE);
      socket.send(out.data(), out.size());
      out.clear();
    }
  });
  peer_socket socket(ZMQ_DEALER);
  socket.connect(ready.ends[0]);
  std::vector<char> in(packed * 2), out(small * static_cast<std::size_t>(at_once));
  int sent = 0, answered = 0;
  auto ask = [&](int n) {
    n = std::min(n, count - sent);
    sent += n;
    if (n > 0) socket.send(out.data(), small * static_cast<std::size_t>(n));
  };
  auto start = now();
  ask(at_once);
  while (answered < count) {
    int got = 0;
    for (int n = socket.receive(in.data(), in.size()); n >= 0; n = socket.receive(in.data(), in.size(), ZMQ_DONTWAIT))
      got += n / static_cast<int>(small);
    answered += got;
    ask(got);
  }
  emit(line, count / seconds_since(start), "calls/s");
}

// From the kill to the event of the socket's monitor.
void zmq_kill(const std::string& line) {
  channel ready;
  child server([&] { zmq_echo(ready.ends[1]); });
  peer_socket socket(ZMQ_DEALER);
  socket.connect(ready.ends[0]);
  char body[256] = {};
  socket.send(body, small);
  socket.receive(body, sizeof body);
  void* events = zmq_socket(socket.context(), ZMQ_PAIR);
  const int linger = 0;
  zmq_setsockopt(events, ZMQ_LINGER, &linger, sizeof linger);
  check(zmq_socket_monitor(socket.raw(), "inproc://events", ZMQ_EVENT_DISCONNECTED) == 0, "zmq_socket_monitor");
  check(zmq_connect(events, "inproc://events") == 0, "zmq_connect");
  auto start = now();
  server.kill();
  check(zmq_recv(events, body, sizeof body, 0) >= 0, "zmq_recv");
  emit(line, seconds_since(start) * 1000, "ms");
  zmq_close(events);
}

// ---- a plain stream socket, read by the thread that waits -----------------------------------------------------------
class connection {
 public:
  explicit connection(int fd) : fd_(fd) {
    const int on = 1;
    if (over_tcp) setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  connection(const connection&) = delete;
  connection& operator=(const connection&) = delete;
  ~connection() { close(fd_); }
  void send(const char* data, std::size_t size) {
    while (size > 0) {
      const ssize_t n = write(fd_, data, size);
      check(n > 0, "write");
      data += n;
      size -= static_cast<std::size_t>(n);
    }
  }
  bool receive(char* data, std::size_t size) {
    while (size > 0) {
      const ssize_t n = read(fd_, data, size);
      if (n <= 0) return false;
      data += n;
      size -= static_cast<std::size_t>(n);
    }
    return true;
  }
  [[nodiscard]] ssize_t some(char* data, std::size_t size) { return read(fd_, data, size); }

 private:
  int fd_;
};

class listener {
 public:
  listener() : fd_(socket(over_tcp ? AF_INET : AF_UNIX, SOCK_STREAM, 0)) {
    sockaddr_storage at{};
    socklen_t size = sizeof(sa_family_t);  // an abstract name that the kernel picks
    at.ss_family = AF_UNIX;
    if (over_tcp) {
      auto* in = reinterpret_cast<sockaddr_in*>(&at);
      in->sin_family = AF_INET;
      in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      size = sizeof *in;
    }
    check(bind(fd_, reinterpret_cast<sockaddr*>(&at), size) == 0 && ::listen(fd_, 1) == 0, "listen");
  }
  listener(const listener&) = delete;
  listener& operator=(const listener&) = delete;
  ~listener() { close(fd_); }
  [[nodiscard]] int accept() const { return ::accept(fd_, nullptr, nullptr); }
  [[nodiscard]] int connect() const {
    sockaddr_storage at{};
    socklen_t size = sizeof at;
    getsockname(fd_, reinterpret_cast<sockaddr*>(&at), &size);
    const int fd = socket(at.ss_family, SOCK_STREAM, 0);
    check(::connect(fd, reinterpret_cast<sockaddr*>(&at), size) == 0, "connect");
    return fd;
  }

 private:
  int fd_;
};

void socket_pingpong(const std::string& line, double scale) {
  listener door;
  child server([&] {
    connection with(door.accept());
    for (char body[small]; with.receive(body, small);) with.send(body, small);
  });
  connection with(door.connect());
  char body[small] = {};
  const int warm = scaled(scale, 500), count = scaled(scale, 5000);
  std::vector<double> us;
  for (int i = 0; i < warm + count; ++i) {
    auto start = now();
    with.send(body, small);
    with.receive(body, small);
    if (i >= warm) us.push_back(bench::micros_since(start));
  }
  bench::percentiles(line, us);
}

void socket_send_all(const std::string& line, std::size_t size, int count) {
  listener door;
  child server([&] {
    connection with(door.accept());
    std::vector<char> in(256 * 1024);
    for (double left = static_cast<double>(size) * count; left > 0;) {
      const ssize_t n = with.some(in.data(), in.size());
      if (n <= 0) return;
      left -= static_cast<double>(n);
    }
    with.send("k", 1);
    for (;;) pause();
  });
  connection with(door.connect());
  const std::vector<char> body(size, 7);
  std::vector<char> frame;
  auto start = now();
  for (int i = 0; i < count; ++i) {
    frame.insert(frame.end(), body.begin(), body.end());
    if (frame.size() + size <= packed) continue;
    with.send(frame.data(), frame.size());
    frame.clear();
  }
  with.send(frame.data(), frame.size());
  char answer = 0;
  with.receive(&answer, 1);
  const double took = seconds_since(start);
  if (size > packed) emit(line, static_cast<double>(size) * count / took / 1e6, "MB/s");
  else emit(line, count / took, "msgs/s");
}

void socket_kill(const std::string& line) {
  listener door;
  child server([&] {
    connection with(door.accept());
    with.send("k", 1);
    for (;;) pause();
  });
  connection with(door.connect());
  char body = 0;
  with.receive(&body, 1);
  auto start = now();
  server.kill();
  with.receive(&body, 1);
  emit(line, seconds_since(start) * 1000, "ms");
}

int run_line(bool zmq, const std::string& line, double scale) {
  const bool dies = line == "kill_to_down";
  auto sends = [&](std::size_t size, int full) {
    zmq ? zmq_send_all(line, size, scaled(scale, full)) : socket_send_all(line, size, scaled(scale, full));
  };
  if (line == "remote_pingpong") zmq ? zmq_pingpong(line, scale) : socket_pingpong(line, scale);
  else if (line == "remote_send_32") sends(32, 5'000'000);
  else if (line == "remote_send_1k") sends(1024, 500'000);
  else if (line == "remote_send_1m") sends(1 << 20, 1000);
  else if (line == "remote_calls_64" && zmq) zmq_calls(line, 64, scaled(scale, 500'000));
  else if (line == "remote_calls_1000" && zmq) zmq_calls(line, 1000, scaled(scale, 1'000'000));
  else if (!dies) return 2;
  for (int i = 0; dies && i < scaled(scale, 5); ++i) zmq ? zmq_kill(line) : socket_kill(line);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string kind = argc > 3 ? argv[1] : "";
  if (kind != "zmq" && kind != "socket") {
    std::cerr << "usage: floor_bench zmq|socket LINE SCALE [ipc|tcp]\n";
    return 2;
  }
  over_tcp = argc > 4 && argv[4] == std::string("tcp");
  try {
    return run_line(kind == "zmq", argv[2], std::stod(argv[3]));
  } catch (const std::exception& failed) {
    std::cerr << "floor_bench " << argv[2] << ": " << failed.what() << "\n";
    return 1;
  }
}
