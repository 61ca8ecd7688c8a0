// Judges logs that are made to hurt: a libFuzzer target, and a program that mutates by itself.
//
//     lines POLICY ROUNDS SEED THREADS FILE...
//
// POLICY is what tests/fuzz/build.py writes. Every input is judged in one block and again in blocks of a few bytes
// (and, with THREADS, by several workers at once); what is found must be the same, and account for every byte. The
// program prints a digest of all that was found, which must not depend on the compiler or the instructions it may use.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "worker.hpp"

namespace {

using kaudit::Odd;

struct Input {
  const char* data;
  size_t size;
  size_t done = 0;
};

ssize_t read_input(void* context, char* into, size_t size) {
  auto* const input = static_cast<Input*>(context);
  size = std::min(size, input->size - input->done);
  if (size != 0) std::memcpy(into, input->data + input->done, size);
  input->done += size;
  return static_cast<ssize_t>(size);
}

struct Found {
  std::vector<uint64_t> counts;
  std::map<uint64_t, std::string> odd;  // offset -> line, size, ending and bytes

  bool operator==(const Found& other) const { return counts == other.counts && odd == other.odd; }
};

std::unique_ptr<kaudit::Rules> rules;

void add(kaudit::Worker& worker, Found& found, uint64_t& bytes) {
  const kaudit::Tally& tally = worker.judge().tally();
  size_t at = 0;
  const auto count = [&](uint64_t value) {
    if (at == found.counts.size()) found.counts.push_back(0);
    found.counts[at++] += value;
  };
  for (const kaudit::Count& one : tally.by_rule) {
    count(one.events);
    count(one.bytes);
    bytes += one.bytes;
  }
  for (const uint64_t one : tally.by_level_and_stage) count(one);
  for (const uint64_t one : tally.by_findings) count(one);
}

struct Kept {
  uint64_t block;
  uint64_t line;
  uint64_t offset;
  uint64_t size;
  std::string rest;
};

void work(kaudit::Reader& reader, kaudit::Worker& worker, std::vector<Kept>& kept) {
  worker.begin(0);
  for (bool more = true; more;) {
    more = worker.advance(reader, 1 << 20);
    for (const Odd& odd : worker.odd()) {
      std::string rest = std::to_string(odd.size) + (odd.unfinished ? "!" : ".");
      rest += odd.data == nullptr ? "too long" : std::string(odd.data, odd.length);
      kept.push_back({odd.block, odd.line, odd.offset, odd.size, rest});
    }
  }
}

Found judge(const char* data, size_t size, size_t block, size_t max_line, size_t threads) {
  Input input{data, size};
  kaudit::Source source;
  source.read = read_input;
  source.context = &input;
  kaudit::Reader reader(source, block, max_line);
  std::vector<std::unique_ptr<kaudit::Worker>> workers;
  std::vector<std::vector<Kept>> kept(threads);
  for (size_t i = 0; i < threads; ++i) workers.emplace_back(new kaudit::Worker(*rules));
  std::vector<std::thread> others;
  for (size_t i = 1; i < threads; ++i) others.emplace_back([&, i] { work(reader, *workers[i], kept[i]); });
  work(reader, *workers[0], kept[0]);
  for (std::thread& other : others) other.join();
  Found found;
  uint64_t bytes = 0;
  for (auto& worker : workers) add(*worker, found, bytes);
  const std::vector<uint64_t> before = reader.lines_before();
  for (const auto& mine : kept) {
    for (const Kept& one : mine) {
      found.odd[one.offset] = std::to_string(before[one.block] + one.line) + " " + one.rest;
      bytes += one.size;
    }
  }
  if (bytes > size) std::abort();  // a byte was counted twice
  return found;
}

uint64_t digest = 0;

void try_input(const char* data, size_t size, size_t threads) {
  // A copy of its own size, so that a read behind its end is seen.
  const std::unique_ptr<char[]> exact(new char[size + 1]);
  if (size != 0) std::memcpy(exact.get(), data, size);
  const size_t block = 1 + kaudit::hash_of({exact.get(), std::min<size_t>(size, 64)}) % 300;
  for (const size_t max_line : {size_t{1} << 26, size_t{700}}) {
    const Found whole = judge(exact.get(), size, size + 1, max_line, 1);
    const Found parts = judge(exact.get(), size, block, max_line, threads);
    if (!(whole == parts)) {
      std::fprintf(stderr, "blocks of %zu bytes, lines up to %zu: found otherwise\n", block, max_line);
      std::abort();
    }
    for (const uint64_t one : whole.counts) digest = kaudit::mix(digest, one);
    for (const auto& [offset, rest] : whole.odd) digest = kaudit::mix(digest ^ offset, kaudit::hash_of(rest));
  }
}

std::string contents(const char* path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void load(const char* path) {
  const std::string blob = contents(path);
  uint32_t sizes[3];
  if (blob.size() < sizeof sizes) std::exit(2);
  std::memcpy(sizes, blob.data(), sizeof sizes);
  std::vector<uint32_t> numbers(sizes[0] + sizes[1]);
  std::memcpy(numbers.data(), blob.data() + sizeof sizes, numbers.size() * 4);
  const char* const texts = blob.data() + sizeof sizes + numbers.size() * 4;
  rules.reset(new kaudit::Rules({numbers.data(), sizes[0], numbers.data() + sizes[0], sizes[1], {texts, sizes[2]}}));
}

}  // namespace

#if defined(KAUDIT_LIBFUZZER)

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  load(std::getenv("KAUDIT_FUZZ_POLICY"));
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try_input(reinterpret_cast<const char*>(data), size, 1);
  return 0;
}

#else

namespace {

uint64_t state;

uint64_t random_below(uint64_t limit) {
  state = kaudit::mix(state, 0x2545f4914f6cdd1du);
  return state % limit;
}

const char* const kPieces[] = {"\"",
                               "\\",
                               "{",
                               "}",
                               "[",
                               "]",
                               ",",
                               ":",
                               " ",
                               "\n",
                               "\r",
                               "\t",
                               "0",
                               "-",
                               "1e5",
                               "true",
                               "null",
                               "\\u0026",
                               "\\ud800",
                               "\xc3\xa9",
                               "\xff",
                               "%2F",
                               "%",
                               "/",
                               "?",
                               "&",
                               "{}",
                               "[]",
                               "\"\":1,",
                               "Metadata",
                               "managedFields",
                               "metadata",
                               "items",
                               "watch",
                               "\x01",
                               "\x7f"};

std::string mutated(std::string text, const std::string& other) {
  for (uint64_t i = 1 + random_below(4); i != 0; --i) {
    const size_t at = random_below(text.size() + 1);
    const size_t size = std::min<size_t>(random_below(9), text.size() - at);
    std::string piece = kPieces[random_below(std::size(kPieces))];
    if (random_below(4) == 0 && !other.empty()) {
      const size_t begin = random_below(other.size());  // one after the other: arguments have no order
      piece = other.substr(begin, random_below(200));
    }
    if (random_below(8) == 0) piece = std::string(1, static_cast<char>(random_below(256)));
    text.replace(at, size / (1 + random_below(2)), piece);
  }
  return text;
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 6) return 2;
  load(arguments[1]);
  const auto rounds = std::strtoul(arguments[2], nullptr, 10), threads = std::strtoul(arguments[4], nullptr, 10);
  state = std::strtoull(arguments[3], nullptr, 10) + 1;
  std::vector<std::string> texts;
  for (int i = 5; i < count; ++i) texts.push_back(contents(arguments[i]));
  for (const std::string& text : texts) try_input(text.data(), text.size(), threads);
  for (unsigned long round = 0; round < rounds; ++round) {
    const std::string& other = texts[random_below(texts.size())];
    const std::string text = mutated(texts[random_below(texts.size())], other);
    try_input(text.data(), text.size(), threads);
  }
  std::printf("%016llx\n", static_cast<unsigned long long>(digest));
  return 0;
}

#endif
