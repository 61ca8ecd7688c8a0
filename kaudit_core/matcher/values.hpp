// Values: JSON objects and lists, walked member by member where their keys matter, skipped where they don't.
//
// Purpose:    the parts of an event between its strings and its bodies: user, objectRef, annotations and the like.
// Layout:     templates over kSpaced. Compact text (as Go writes it) is the fast instance; the other one takes white
//             space between tokens, byte by byte, for logs that something wrote anew.
// Invariants: true means: valid JSON, no key twice in any object that was walked, `at` stands behind it. false means
//             only that this code did not accept it; the reference decides what it is. Depth and keys are bounded.
// Cost:       one string_end for each key and string; duplicates are looked for in a 64-bit filter first.
//
// Mirrors events.json_text: keys are compared decoded, so a key with an escape is left to the reference.
#pragma once

#include <cstddef>
#include <cstdint>

#include "grammar.hpp"
#include "text.hpp"

namespace kaudit {

constexpr int kNesting = 64;

// The keys of one object: says whether a key is there already.
class Keys {
 public:
  // False for a key that is a duplicate, and for one too many to remember.
  bool add(string_view key) {
    if (count_ == kMost) return false;
    const uint64_t last = key.empty() ? 0 : static_cast<unsigned char>(key.back());
    const uint64_t middle = key.empty() ? 0 : static_cast<unsigned char>(key[key.size() / 2]);
    const uint64_t bit = uint64_t{1} << ((key.size() * 7 + last * 5 + middle * 3) & 63);
    if ((filter_ & bit) != 0) {
      for (size_t i = 0; i < count_; ++i) {
        if (same({begins_[i], sizes_[i]}, key)) return false;
      }
    }
    filter_ |= bit;
    begins_[count_] = key.data();
    sizes_[count_++] = key.size();
    return true;
  }

 private:
  static constexpr size_t kMost = 64;
  uint64_t filter_ = 0;
  size_t count_ = 0;
  const char* begins_[kMost];  // not string_views: those would all be cleared for every object
  size_t sizes_[kMost];
};

template <bool kSpaced>
inline void skip_space(const char*& at) {
  if constexpr (kSpaced) {
    while (*at == ' ' || *at == '\t' || *at == '\r') ++at;
  }
}

// The string at `at`, without its quotes and undecoded.
struct Raw {
  string_view text;
  bool escaped = false;
};

KAUDIT_INLINE bool take_string(const char*& at, Seen& seen, Raw& raw) {
  if (*at != '"') return false;
  const char* const begin = at + 1;
  const StringEnd end = string_end(begin, seen);
  if (end.at == nullptr) return false;
  raw = {string_view(begin, static_cast<size_t>(end.at - begin)), end.escaped};
  at = end.at + 1;
  return true;
}

KAUDIT_INLINE bool skip_string(const char*& at, Seen& seen) {
  Raw raw;
  return take_string(at, seen, raw);
}

// Behind a comma true, behind the closing bracket false with `done`; neither: not JSON.
template <bool kSpaced>
inline bool next_element(const char*& at, char closing, bool& done) {
  skip_space<kSpaced>(at);
  done = *at == closing;
  if (!done && *at != ',') return false;
  ++at;
  if (!done) skip_space<kSpaced>(at);
  return true;
}

// Walks an object; member(key, at) takes the value.
template <bool kSpaced, class Member>
inline bool take_object(const char*& at, Seen& seen, Member&& member) {
  if (*at != '{') return false;
  ++at;
  skip_space<kSpaced>(at);
  if (*at == '}') return ++at, true;
  Keys keys;
  for (bool done = false; !done;) {
    Raw key;
    if (!take_string(at, seen, key) || key.escaped || !keys.add(key.text)) return false;
    skip_space<kSpaced>(at);
    if (*at != ':') return false;
    ++at;
    skip_space<kSpaced>(at);
    if (!member(key.text, at) || !next_element<kSpaced>(at, '}', done)) return false;
  }
  return true;
}

// Walks a list; element(at) takes one.
template <bool kSpaced, class Element>
inline bool take_list(const char*& at, Element&& element) {
  if (*at != '[') return false;
  ++at;
  skip_space<kSpaced>(at);
  if (*at == ']') return ++at, true;
  for (bool done = false; !done;) {
    if (!element(at) || !next_element<kSpaced>(at, ']', done)) return false;
  }
  return true;
}

inline bool skip_scalar(const char*& at) {
  const char* const end = scalar_end(at);
  if (end == nullptr) return false;
  at = end;
  return true;
}

// Any value in which no object repeats a key.
template <bool kSpaced>
inline bool skip_strict(const char*& at, Seen& seen, int depth = 0) {
  if (*at == '"') return skip_string(at, seen);
  if (*at != '{' && *at != '[') return skip_scalar(at);
  if (depth == kNesting) return false;
  const auto element = [&](const char*& here) { return skip_strict<kSpaced>(here, seen, depth + 1); };
  if (*at == '[') return take_list<kSpaced>(at, element);
  return take_object<kSpaced>(at, seen, [&](string_view, const char*& here) { return element(here); });
}

// Any value with white space, whatever its keys.
inline bool skip_spaced(const char*& at, Seen& seen, int depth = 0) {
  if (*at == '"') return skip_string(at, seen);
  if (*at != '{' && *at != '[') return skip_scalar(at);
  if (depth == kNesting) return false;
  if (*at == '[') return take_list<true>(at, [&](const char*& here) { return skip_spaced(here, seen, depth + 1); });
  ++at;
  skip_space<true>(at);
  if (*at == '}') return ++at, true;
  for (bool done = false; !done;) {
    if (!skip_string(at, seen)) return false;
    skip_space<true>(at);
    if (*at++ != ':') return false;
    skip_space<true>(at);
    if (!skip_spaced(at, seen, depth + 1) || !next_element<true>(at, '}', done)) return false;
  }
  return true;
}

// Any value, whatever its keys.
template <bool kSpaced>
inline bool skip_any(const char*& at, Seen& seen) {
  if constexpr (kSpaced) return skip_spaced(at, seen);
  if (*at == '"') return skip_string(at, seen);
  if (*at != '{' && *at != '[') return skip_scalar(at);
  if (at[1] == at[0] + 2) return at += 2, true;  // {} and []
  const char* const end = value_end(at, seen);
  if (end == nullptr) return false;
  at = end;
  return true;
}

template <bool kSpaced>
inline bool skip_string_list(const char*& at, Seen& seen) {
  return take_list<kSpaced>(at, [&](const char*& here) { return skip_string(here, seen); });
}

// An object whose members are all strings, or all lists of strings.
template <bool kSpaced>
inline bool skip_strings_object(const char*& at, Seen& seen) {
  return take_object<kSpaced>(at, seen, [&](string_view, const char*& here) { return skip_string(here, seen); });
}

template <bool kSpaced>
inline bool skip_lists_object(const char*& at, Seen& seen) {
  const auto list = [&](string_view, const char*& here) { return skip_string_list<kSpaced>(here, seen); };
  return take_object<kSpaced>(at, seen, list);
}

}  // namespace kaudit
