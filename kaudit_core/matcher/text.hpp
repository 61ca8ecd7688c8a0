// Text: comparing with literals, finding the end of a JSON string, and JSON's scalars.
//
// Purpose:    the few operations on bytes that every event needs dozens of times.
// Layout:     inline functions over const char*; 16 bytes at a time where SSE2 is there, a byte elsewhere.
// Invariants: what is read is part of a block: a newline ends every line, and at least kPadding readable bytes follow
//             the last one. A newline is a control character, so no function here passes the end of its line by more
//             than one vector. nullptr says: not the JSON that was expected.
// Cost:       a string costs one compare per 16 bytes; nothing is copied or decoded.
//
// Mirrors Python's json scanner as kaudit_core.events.json_text uses it: control characters are refused in strings,
// the eight short escapes and \uXXXX are known, numbers follow the grammar of RFC 8259.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

// KAUDIT_PORTABLE leaves vector instructions out, to test what other processors run.
#if defined(__SSE2__) && !defined(KAUDIT_PORTABLE)
#define KAUDIT_SSE2 1
#include <emmintrin.h>
#endif

// For what must not become a call: it is a few instructions, used in dozens of places.
#define KAUDIT_INLINE [[gnu::always_inline]] inline

namespace kaudit {

using std::string_view;

constexpr size_t kPadding = 256;  // readable bytes behind a block: longest literal, one vector, two blocks

// What scanning saw on the way, gathered over a whole line.
struct Seen {
  uint32_t high = 0;  // not 0: some byte was beyond ASCII (or one just behind a string: it only costs a closer look)
};

struct StringEnd {
  const char* at;  // the closing quote; nullptr when this is no JSON string
  bool escaped;
};

// The last newline; nullptr without one. Only macOS lacks the function for it.
inline const char* last_newline(const char* begin, const char* end) {
#if defined(__APPLE__) || defined(KAUDIT_PORTABLE)
  while (begin != end) {
    if (*--end == '\n') return end;
  }
  return nullptr;
#else
  return static_cast<const char*>(memrchr(begin, '\n', static_cast<size_t>(end - begin)));
#endif
}

inline uint64_t load8(const char* at) {
  uint64_t value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

inline uint32_t load4(const char* at) {
  uint32_t value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

// Whether the bytes at `at` are a literal's; compiled to compares with constants.
template <size_t N>
KAUDIT_INLINE bool starts(const char* at, const char (&literal)[N]) {
  constexpr size_t kSize = N - 1;
  if constexpr (kSize < 4) {
    for (size_t i = 0; i < kSize; ++i) {
      if (at[i] != literal[i]) return false;
    }
    return true;
  } else if constexpr (kSize < 8) {
    return ((load4(at) ^ load4(literal)) | (load4(at + kSize - 4) ^ load4(literal + kSize - 4))) == 0;
  } else {
    uint64_t differ = load8(at + kSize - 8) ^ load8(literal + kSize - 8);
    for (size_t i = 0; i + 8 < kSize; i += 8) differ |= load8(at + i) ^ load8(literal + i);
    return differ == 0;
  }
}

// Moves `at` behind a literal if it stands there.
template <size_t N>
KAUDIT_INLINE bool take(const char*& at, const char (&literal)[N]) {
  if (!starts(at, literal)) return false;
  at += N - 1;
  return true;
}

// Copies a text; an empty one may be nowhere, which memcpy must not be told.
inline void copy(string_view text, char* into) {
  if (!text.empty()) std::memcpy(into, text.data(), text.size());
}

// Whether two texts are equal; short ones without a call.
inline bool same(string_view a, string_view b) {
  const size_t size = a.size();
  if (size != b.size()) return false;
  const char *x = a.data(), *y = b.data();
  if (size >= 8) {
    uint64_t differ = load8(x + size - 8) ^ load8(y + size - 8);
    for (size_t i = 0; i + 8 < size; i += 8) differ |= load8(x + i) ^ load8(y + i);
    return differ == 0;
  }
  if (size >= 4) return ((load4(x) ^ load4(y)) | (load4(x + size - 4) ^ load4(y + size - 4))) == 0;
  for (size_t i = 0; i < size; ++i) {
    if (x[i] != y[i]) return false;
  }
  return true;
}

inline bool is_hex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

inline bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Behind the escape whose backslash is at `at`; nullptr when there is no such escape.
inline const char* escape_end(const char* at) {
  switch (at[1]) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
      return at + 2;
    case 'u':
      for (int digit = 2; digit < 6; ++digit) {
        if (!is_hex(at[digit])) return nullptr;
      }
      return at + 6;
    default:
      return nullptr;
  }
}

// The next quote, backslash or control character at or behind `at`.
KAUDIT_INLINE const char* string_stop(const char* at, Seen& seen) {
#if defined(KAUDIT_SSE2)
  const __m128i quote = _mm_set1_epi8('"'), slash = _mm_set1_epi8('\\'), control = _mm_set1_epi8(0x1f);
  for (;; at += 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    const __m128i stops = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, slash)),
                                       _mm_cmpeq_epi8(_mm_min_epu8(bytes, control), bytes));
    const uint32_t found = static_cast<uint32_t>(_mm_movemask_epi8(stops));
    seen.high |= static_cast<uint32_t>(_mm_movemask_epi8(bytes));
    if (found != 0) return at + __builtin_ctz(found);
  }
#else
  for (;; ++at) {
    const unsigned char c = static_cast<unsigned char>(*at);
    if (c == '"' || c == '\\' || c < 0x20) return at;
    seen.high |= c & 0x80u;
  }
#endif
}

// The rest of a string from a backslash on.
[[gnu::noinline]] inline StringEnd escaped_string_end(const char* at, Seen& seen) {
  for (;;) {
    if (*at == '"') return {at, true};
    if (*at != '\\' || (at = escape_end(at)) == nullptr) return {nullptr, true};
    at = string_stop(at, seen);
  }
}

// The end of the string whose text begins at `at`, behind its opening quote.
KAUDIT_INLINE StringEnd string_end(const char* at, Seen& seen) {
  at = string_stop(at, seen);
  if (*at == '"') return {at, false};
  return escaped_string_end(at, seen);
}

inline const char* number_end(const char* at) {
  if (*at == '-') ++at;
  if (!is_digit(*at)) return nullptr;
  if (*at++ != '0') {
    while (is_digit(*at)) ++at;
  }
  if (*at == '.') {
    if (!is_digit(*++at)) return nullptr;
    while (is_digit(*at)) ++at;
  }
  if (*at == 'e' || *at == 'E') {
    ++at;
    if (*at == '+' || *at == '-') ++at;
    if (!is_digit(*at)) return nullptr;
    while (is_digit(*at)) ++at;
  }
  return at;
}

// Behind the number or word at `at`; nullptr when there is none. What follows is for the caller to look at.
inline const char* scalar_end(const char* at) {
  switch (*at) {
    case 't':
      return starts(at, "true") ? at + 4 : nullptr;
    case 'f':
      return starts(at, "false") ? at + 5 : nullptr;
    case 'n':
      return starts(at, "null") ? at + 4 : nullptr;
    default:
      return number_end(at);
  }
}

}  // namespace kaudit
