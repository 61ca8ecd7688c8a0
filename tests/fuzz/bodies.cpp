// The grammar of bodies against the plain one: random JSON, whole and damaged, at every place in a block.
//
//     bodies ROUNDS SEED
//
// value_end works on 64 bytes at a time, skip_spaced on one token after the other. Where the latter meets no white
// space, both must end at the same byte, or refuse. Exits with 1 and the text when they do not.
#include <cstdio>
#include <cstdlib>
#include <string>

#include "grammar.hpp"
#include "values.hpp"

namespace {

uint64_t state;

uint64_t below(uint64_t limit) {
  state = state * 6364136223846793005u + 1442695040888963407u;
  return (state >> 33) % limit;
}

const char* pick(const char* const* from, size_t count) { return from[below(count)]; }

void add_text(std::string& json) {
  static const char* const kParts[] = {
      "a",   "name",     "\\\"",     "\\\\", "\\n", "\\u0026",          "\\uD83d\\ude00",
      "{",   "]",        "\xc3\xa9", ",",    ":",   "0123456789abcdef", "/",
      "\\/", "\\\\\\\\", "\\\\\\\""};
  json += '"';
  for (uint64_t i = below(below(4) == 0 ? 40 : 4); i != 0; --i) json += pick(kParts, std::size(kParts));
  json += '"';
}

void add_value(std::string& json, int depth) {
  static const char* const kScalars[] = {"0", "-1", "12.5e+3", "true", "false", "null", "1E9", "1234567890", "0.25"};
  const uint64_t kind = depth == 0 ? below(2) : below(6);
  if (kind == 0) return add_text(json);
  if (kind == 1) return void(json += pick(kScalars, std::size(kScalars)));
  const bool object = kind < 5;
  json += object ? '{' : '[';
  const uint64_t members = below(6);
  for (uint64_t i = 0; i < members; ++i) {
    if (i != 0) json += ',';
    if (object) {
      add_text(json);
      json += ':';
    }
    add_value(json, depth - 1);
  }
  json += object ? '}' : ']';
}

void damage(std::string& json) {
  static const char kBytes[] = "{}[],:\"\\ua0-.eE+ntf x\x01\x1f\x7f";
  const size_t at = below(json.size());
  const uint64_t kind = below(3);
  if (kind == 0) json[at] = kBytes[below(sizeof kBytes)];
  if (kind == 1) json.erase(at, 1 + below(3));
  if (kind == 2) json.insert(at, 1, kBytes[below(sizeof kBytes)]);
}

using End = const char* (*)(const char*, kaudit::Seen&);

void compare(const std::string& json, const char* name, End end) {
  const char* const begin = json.data();
  if ((*begin != '{' && *begin != '[') || begin[1] == *begin + 2) return;
  kaudit::Seen seen, plain;
  const char *found = end(begin, seen), *expected = begin;
  if (!kaudit::skip_spaced(expected, plain)) expected = nullptr;
  // White space is refused by one and taken by the other.
  if (expected != nullptr && found == nullptr && json.find(' ') < static_cast<size_t>(expected - begin)) return;
  if (found == expected && (found == nullptr || seen.high != 0 || plain.high == 0)) return;
  std::printf("%s ends at %td, expected %td\n%s\n", name, found == nullptr ? -1 : found - begin,
              expected == nullptr ? -1 : expected - begin, json.c_str());
  std::exit(1);
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 3) return 2;
  state = std::strtoull(arguments[2], nullptr, 10);
  for (unsigned long round = std::strtoul(arguments[1], nullptr, 10); round != 0; --round) {
    std::string json;
    while (json.empty() || (json[0] != '{' && json[0] != '[')) {
      json.clear();
      add_value(json, static_cast<int>(1 + below(8)));
    }
    for (uint64_t i = below(3); i != 0 && json.size() > 2; --i) damage(json);
    json.append(below(2) == 0 ? ",\"stage\":\"x\"}\n" : "\n").append(kaudit::kPadding, '\0');
    compare(json, "value_end", kaudit::value_end);
#if defined(KAUDIT_AVX2)
    if (kaudit::has_avx2()) compare(json, "value_end_avx2", kaudit::value_end_avx2);
#endif
    compare(json, "portable", kaudit::value_end_with<kaudit::Portable>);
  }
  std::printf("the same\n");
  return 0;
}
