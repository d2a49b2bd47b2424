#pragma once
// Messages that somebody sends to the wrong address: every tag that the sources know, with random fields.
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <random>
#include <regex>
#include <string>
#include <utility>
#include <vector>

#include <troupe/node.hpp>

#include "support/paths.hpp"

namespace troupe::test {

struct known_tag {
  std::string tag;
  std::vector<std::string> fields;
};

// From the one line in each message's struct.
inline std::vector<known_tag> known_tags() {
  static const std::regex line(R"re(TROUPE_MESSAGE\(\w+,\s*"([^"]+)"((?:,\s*\w+)*)\))re");
  std::vector<known_tag> out;
  for (const char* part : {"/node", "/release"}) {
    for (const auto& file : std::filesystem::recursive_directory_iterator(source_dir() + part)) {
      if (file.path().extension() != ".hpp" && file.path().extension() != ".cpp") continue;
      std::ifstream in(file.path());
      const std::string text{std::istreambuf_iterator<char>(in), {}};
      for (std::sregex_iterator at(text.begin(), text.end(), line), end; at != end; ++at) {
        known_tag one{(*at)[1], {}};
        const std::string fields = (*at)[2];
        static const std::regex word(R"(\w+)");
        for (std::sregex_iterator field(fields.begin(), fields.end(), word); field != end; ++field)
          one.fields.push_back(field->str());
        out.push_back(std::move(one));
      }
    }
  }
  return out;
}

class strange_messages {
 public:
  // `pids` and `texts` are known to whoever gets the messages.
  strange_messages(node& here, std::uint64_t seed, std::vector<pid> pids, std::vector<std::string> texts)
      : dice_(seed), pids_(std::move(pids)), texts_(std::move(texts)), a_ref_(here.core().life(), 77) {
    pids_.emplace_back();
    texts_.insert(texts_.end(), {"", "x", std::string(300, 'y'), "troupe.global", "\x01\xff"});
  }

  // For one tag, well formed as far as the form goes, mostly.
  value next(const known_tag& known) {
    if (dice_() % 12 == 0) return list_of({known.tag});
    if (dice_() % 12 == 0) return list_of({known.tag, anything(2)});
    map fields;
    for (const std::string& name : known.fields) {
      if (dice_() % 5 != 0) fields.emplace_back(name, anything(2));
    }
    return list_of({known.tag, value(std::move(fields))});
  }
  value made_up_end() {
    if (dice_() % 2) return list_of({"EXIT", one_of(pids_), anything(1)});
    return list_of({"DOWN", a_ref_, "process", one_of(pids_), anything(1)});
  }
  value anything(int depth) {
    constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
    switch (dice_() % (depth > 0 ? 11 : 9)) {
      case 0: return {};
      case 1: return dice_() % 2 == 0;
      case 2: return static_cast<std::int64_t>(dice_() % 5);
      case 3: return std::vector<std::int64_t>{most, -most - 1, -1, 1'000'000, most / 1000}[dice_() % 5];
      case 4: return 1e300;
      case 5: return one_of(texts_);
      case 6: return bytes(dice_() % 40);
      case 7: return one_of(pids_);
      case 8: return a_ref_;
      case 9: return list_of({anything(depth - 1), anything(depth - 1)});
      default: return map_of({{"key", anything(depth - 1)}, {"name", anything(depth - 1)}});
    }
  }

 private:
  template <class T>
  T one_of(const std::vector<T>& all) {
    return all[dice_() % all.size()];
  }
  std::mt19937_64 dice_;
  std::vector<pid> pids_;
  std::vector<std::string> texts_;
  ref a_ref_;
};

// Sends all of them `rounds` times to each, as messages and as calls whose answers nobody awaits. What is an order to
// end, and is obeyed by right, stays out.
inline void send_strange_messages(process& self, const std::vector<address>& to, strange_messages& strange, int rounds,
                                  const std::vector<std::string>& without = {}) {
  std::vector<known_tag> tags = known_tags();
  std::erase_if(tags, [&](const known_tag& one) {
    return one.tag == "sys.terminate" || one.tag == "sys.suspend" ||
           std::find(without.begin(), without.end(), one.tag) != without.end();
  });
  auto call = [&self](const address& whom, value content) {
    detail::envelope* e = detail::make_envelope<value>(detail::signal::call, std::move(content));
    e->id = self.make_ref_id();
    self.send_envelope(whom, e);
  };
  for (int round = 0; round < rounds; ++round) {
    for (const address& whom : to) {
      for (const known_tag& one : tags) {
        self.send(whom, strange.next(one));
        call(whom, strange.next(one));
      }
      self.send(whom, strange.made_up_end());
      call(whom, strange.made_up_end());
      self.send(whom, strange.anything(2));
      call(whom, strange.anything(2));
    }
  }
}

}  // namespace troupe::test
