#pragma once
// Other nodes for a benchmark program, each an OS process of its own that dies with it.
#include <filesystem>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include <troupe/inspect.hpp>
#include <troupe/node.hpp>

#include "support.hpp"

namespace bench {

inline std::string peer_name(std::size_t index) { return "peer" + std::to_string(index); }
inline std::string other(std::size_t index = 0) { return peer_name(index) + "@localhost"; }

class temporary_folder {
 public:
  temporary_folder() : path_(std::filesystem::temp_directory_path() / "troupe-bench-XXXXXX") {
    std::string made = path_.string();
    if (!mkdtemp(made.data())) throw std::runtime_error("no folder for the benchmark");
    path_ = made;
  }
  temporary_folder(const temporary_folder&) = delete;
  temporary_folder& operator=(const temporary_folder&) = delete;
  ~temporary_folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

 private:
  std::filesystem::path path_;
};

struct place {  // where the nodes of this run are, and how they talk: "ipc", "tcp", "encrypted"
  std::filesystem::path folder;
  std::string transport = "ipc";
  [[nodiscard]] troupe::node_options options(const std::string& name) const {
    troupe::node_options out;
    out.name = name;
    out.cookie = "a-cookie-for-the-benchmarks-of-troupe";
    out.run_directory = folder;
    if (transport == "ipc") return out;
    out.run_directory = folder / name;  // in a folder of its own a node is not found, and reached over tcp alone
    std::filesystem::create_directory(out.run_directory);
    std::filesystem::permissions(out.run_directory, std::filesystem::perms::owner_all);
    out.plain_text = transport == "tcp" ? troupe::plain_text::on_loopback : troupe::plain_text::nowhere;
    return out;
  }
};

// To be made while this process has one thread: before a node of its own.
class peers {
 public:
  peers(const place& where, std::size_t count, const std::function<troupe::catalogue()>& offers) {
    for (std::size_t i = 0; i < count; ++i) {
      int ready[2];
      if (pipe(ready) != 0) throw std::runtime_error("no pipe to the other node");
      all_.emplace_back([&] { serve(where, i, offers(), ready[1]); });
      close(ready[1]);
      endpoints_.push_back(line_from(ready[0]));
      close(ready[0]);
      if (endpoints_.back().empty()) throw std::runtime_error("the other node did not start");
    }
  }
  void kill_first() const { all_.front().kill(); }
  [[nodiscard]] const std::string& first_endpoint() const { return endpoints_.front(); }

 private:
  // Tells through `ready` where it listens, then serves until it is killed.
  static void serve(const place& where, std::size_t index, troupe::catalogue offers, int ready) {
    troupe::node_options options = where.options(peer_name(index));
    if (where.transport != "ipc") options.listen = {"tcp://127.0.0.1:0"};
    options.offers = std::move(offers);
    auto n = troupe::node::start(std::move(options)).or_exit();
    std::string told = "-";
    const troupe::value about = troupe::inspect::node_info(*n);
    if (const troupe::value* network = about.find("network")) {
      for (const troupe::value& one : *network->find("endpoints")->items()) {
        if (one.text()->starts_with("tcp://")) told = *one.text();
      }
    }
    told += "\n";
    if (write(ready, told.data(), told.size()) < 0) return;
    for (;;) pause();
  }
  static std::string line_from(int fd) {
    std::string out;
    for (char c = 0; read(fd, &c, 1) == 1 && c != '\n';) out += c;
    return out;
  }

  std::vector<child> all_;
  std::vector<std::string> endpoints_;
};

}  // namespace bench
