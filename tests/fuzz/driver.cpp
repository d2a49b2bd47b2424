// The short run of a fuzz target where there is no libFuzzer: seeded noise, and the corpus mutated.
//
//   NAME CORPUS…     directories or files: each file once, then these changed, and noise, for TROUPE_FUZZ_SECONDS (2)
//
// Without a corpus it refuses to run: noise alone gets no further than the first bytes. A file `valid-…` that the
// target's decoder refuses is a failure, too: it is no sample any more (make_corpus.py).
//
// TROUPE_FUZZ_SEED replays a run: the same seed gives the same inputs in the same order. The input that is under way
// when the target crashes is in the file that the last line names (TROUPE_FUZZ_CRASH, else ./crash-NAME).

#include "fuzz.hpp"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
extern "C" void __sanitizer_set_death_callback(void (*callback)());
#endif

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

using bytes = std::vector<std::uint8_t>;

bytes current;           // what the target reads now
std::string crash_path;  // where it goes if the target does not come back

// Only what a signal handler may call.
void save() {
  const int file = open(crash_path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file >= 0) {
    (void)!write(file, current.data(), current.size());
    close(file);
  }
  const char* said[] = {"fuzz: the input that ended it is in ", crash_path.c_str(), "\n"};
  for (const char* part : said) (void)!write(STDERR_FILENO, part, std::strlen(part));
}

void save_and_die(int number) {
  save();
  signal(number, SIG_DFL);
  raise(number);
}

// A sanitizer reports a crash itself and then calls us; elsewhere the signal does.
void save_on_crash() {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  __sanitizer_set_death_callback(save);
#else
  for (int number : {SIGSEGV, SIGFPE, SIGILL, SIGBUS}) signal(number, save_and_die);
#endif
  for (int number : {SIGABRT, SIGTERM}) signal(number, save_and_die);
}

std::uint64_t number_from(const char* variable, std::uint64_t fallback) {
  const char* text = std::getenv(variable);
  return text != nullptr && *text != '\0' ? std::strtoull(text, nullptr, 0) : fallback;
}

struct sample {
  std::filesystem::path file;
  bytes data;
};

std::vector<sample> read_corpus(const std::vector<std::string>& arguments) {
  std::vector<std::filesystem::path> files;
  for (const auto& argument : arguments) {
    if (std::filesystem::is_directory(argument)) {
      for (const auto& entry : std::filesystem::directory_iterator(argument)) files.push_back(entry.path());
    } else {
      files.emplace_back(argument);
    }
  }
  std::sort(files.begin(), files.end());  // so that a seed replays
  std::vector<sample> corpus;
  for (const auto& file : files) {
    std::ifstream stream(file, std::ios::binary);
    if (!stream) {
      std::fprintf(stderr, "%s: cannot be read\n", file.c_str());
      std::exit(2);
    }
    corpus.push_back({file, bytes(std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>())});
  }
  return corpus;
}

class mutator {
 public:
  explicit mutator(std::uint64_t seed) : random_(seed) {}

  bytes noise() {
    bytes data(below(1 + (std::size_t{1} << below(12))));
    for (auto& byte : data) byte = interesting();
    return data;
  }

  bytes changed(bytes data) {
    for (std::size_t changes = 1 + below(8); changes > 0; --changes) change(data);
    return data;
  }

  std::size_t below(std::size_t limit) { return limit == 0 ? 0 : static_cast<std::size_t>(random_() % limit); }

 private:
  // Bytes that head something in msgpack are more likely to lead somewhere than any byte.
  std::uint8_t interesting() {
    static constexpr std::uint8_t heads[] = {0x00, 0x01, 0x7f, 0x80, 0x81, 0x90, 0x91, 0x9f, 0xa0, 0xa1, 0xbf,
                                             0xc0, 0xc1, 0xc4, 0xc6, 0xc7, 0xc9, 0xca, 0xcb, 0xcf, 0xd3, 0xd4,
                                             0xd8, 0xd9, 0xdb, 0xdc, 0xdd, 0xde, 0xdf, 0xe0, 0xff};
    return below(2) == 0 ? heads[below(std::size(heads))] : static_cast<std::uint8_t>(random_());
  }

  void change(bytes& data) {
    const auto at = below(data.size());
    const auto offset = static_cast<std::ptrdiff_t>(at);
    switch (below(data.empty() ? 1 : 6)) {
      case 0: data.insert(data.begin() + offset, interesting()); break;
      case 1: data[at] = interesting(); break;
      case 2: data[at] ^= static_cast<std::uint8_t>(1u << below(8)); break;
      case 3: data.erase(data.begin() + offset); break;
      case 4: data.resize(at); break;
      default: {  // a piece again, in another place
        const bytes piece(data.begin() + offset,
                          data.begin() + offset + 1 +
                              static_cast<std::ptrdiff_t>(below(std::min<std::size_t>(data.size() - at, 64))));
        data.insert(data.begin() + static_cast<std::ptrdiff_t>(below(data.size())), piece.begin(), piece.end());
      }
    }
  }

  std::mt19937_64 random_;
};

}  // namespace

int main(int argc, char** argv) {
  const std::string name = std::filesystem::path(argv[0]).filename();
  const char* crash = std::getenv("TROUPE_FUZZ_CRASH");
  crash_path = crash != nullptr ? crash : (std::filesystem::current_path() / ("crash-" + name)).string();
  save_on_crash();

  const auto seed = number_from("TROUPE_FUZZ_SEED", std::random_device{}());
  const auto limit = std::chrono::seconds(number_from("TROUPE_FUZZ_SECONDS", 2));
  std::printf("%s: replay with TROUPE_FUZZ_SEED=%llu\n", name.c_str(), static_cast<unsigned long long>(seed));
  std::fflush(stdout);

  const auto corpus = read_corpus({argv + 1, argv + argc});
  if (corpus.empty()) {
    std::fprintf(stderr, "%s: no corpus: give a directory or a file of it\n", name.c_str());
    return 2;
  }
  std::uint64_t runs = 0;
  const auto feed = [&runs](bytes data) {
    current = std::move(data);
    LLVMFuzzerTestOneInput(current.data(), current.size());
    ++runs;
  };
  for (const auto& one : corpus) {
    feed(one.data);
    if (!fuzz_accepted && one.file.filename().string().starts_with("valid-")) {
      std::fprintf(stderr, "%s: %s is refused: no sample any more\n", name.c_str(), one.file.c_str());
      return 1;
    }
  }
  mutator mutate(seed);
  for (const auto end = std::chrono::steady_clock::now() + limit; std::chrono::steady_clock::now() < end;) {
    const bool fresh = mutate.below(4) == 0;
    feed(fresh ? mutate.noise() : mutate.changed(corpus[mutate.below(corpus.size())].data));
  }
  std::printf("%s: %llu inputs, %zu of them the corpus\n", name.c_str(), static_cast<unsigned long long>(runs),
              corpus.size());
  return 0;
}
