// Grammar: is what begins here one whole JSON object or list, and where does it end?
//
// Purpose:    bodies are most of a log's bytes and nobody asks for their values, but a torn or damaged one makes the
//             event malformed. So they are checked completely, 64 bytes at a time.
// Layout:     Grammar holds what one block hands to the next: open strings, the last byte's classes, the brackets that
//             are open (one bit each: brace or not). step() computes with masks; only brackets and scalars are visited
//             one by one.
// Invariants: accepts a text exactly when Python's json does, for texts without white space between tokens, nested
//             up to 63; anything else is refused (nullptr), and the reference looks closer (it allows 10,000, as Go).
//             Every token of compact JSON touches its neighbours, so what may follow what is a shift by one bit.
//             A string is a key where it follows `{`, or `,` in an object; then a colon must follow it and only then:
//             adding the bits of the keys' opening quotes to the mask of string bytes carries to their closing quotes.
// Cost:       about 15 ns for 64 bytes with AVX2, 25 with SSE2, plus about 1 ns for each bracket, number and escape.
//
// Mirrors what json_text.parse accepts; duplicate keys in bodies are for bodies.hpp.
#pragma once

#include <cassert>
#include <cstdint>

#include "blocks.hpp"
#include "text.hpp"

namespace kaudit {

// What the classes of a block's last byte, and the strings and brackets open behind it, mean to the next block.
struct Grammar {
  uint64_t in_string = 0;    // all ones while a string goes on
  bool key_goes_on = false;  // and it is a key
  bool escape_goes_on = false;
  uint64_t after_mark = 1;       // the byte before was , or : (the value itself is taken to follow one)
  uint64_t after_brace = 0;      // {
  uint64_t after_bracket = 0;    // [
  uint64_t after_key_comma = 0;  // a comma in an object
  uint64_t after_key = 0;        // the closing quote of a key
  uint64_t after_value = 0;      // the last byte of a value
  uint64_t after_scalar = 0;     // a byte of a number or word
  uint64_t brackets = 1;         // those open, a bit each, the innermost last: 1 is a brace. Above them stands a 1.
};

// Bytes that a backslash takes its meaning from: bit i says that byte i is escaped.
inline uint64_t escaped_bytes(uint64_t slash, bool& goes_on) {
  uint64_t escaped = goes_on ? 1 : 0;
  goes_on = false;
  for (uint64_t left = slash & ~escaped; left != 0;) {
    const int at = __builtin_ctzll(left);
    if (at == kBlock - 1) {
      goes_on = true;
      break;
    }
    escaped |= uint64_t{2} << at;
    left &= ~(uint64_t{3} << at);
  }
  return escaped;
}

inline bool escapes_hold(const char* at, uint64_t escaped) {
  for (; escaped != 0; escaped &= escaped - 1) {
    if (escape_end(at + __builtin_ctzll(escaped) - 1) == nullptr) return false;
  }
  return true;
}

// Whether each number or word that begins in the block is one, and is followed by what may follow a value.
inline bool scalars_hold(const char* at, uint64_t begins) {
  for (; begins != 0; begins &= begins - 1) {
    const char* const end = scalar_end(at + __builtin_ctzll(begins));
    if (end == nullptr || (*end != ',' && *end != '}' && *end != ']')) return false;
  }
  return true;
}

// Follows the brackets of a block. objects: which bytes stand in an object, right for commas. Returns how many bytes
// belong to the value: kBlock when it goes on, 0 when brackets do not match or are too many. {} and [] change nothing
// and are passed over: half of the brackets in managedFields are such.
template <class Machine>
KAUDIT_INLINE int follow(Grammar& grammar, uint64_t open, uint64_t close, uint64_t brace, uint64_t& objects) {
  uint64_t brackets = grammar.brackets, turns = 0, wrong = 0;
  const uint64_t before = brackets & 1;
  int size = kBlock;
  const uint64_t empty = open & close >> 1 & ~(brace ^ brace >> 1);
  for (uint64_t left = (open | close) & ~(empty | empty << 1); left != 0; left &= left - 1) {
    const int at = __builtin_ctzll(left);
    const uint64_t opens = open >> at & 1, is_brace = brace >> at & 1, inner = brackets & 1;
    wrong |= opens != 0 ? brackets >> 63 : inner ^ is_brace;
    brackets = opens != 0 ? brackets << 1 | is_brace : brackets >> 1;
    turns |= (inner ^ (brackets & 1)) << at;
    if (brackets == 1) {
      size = at + 1;
      break;
    }
  }
  grammar.brackets = brackets;
  objects = Machine::prefix_xor(turns) ^ (0 - before);
  return wrong != 0 ? 0 : size;
}

// The tokens of a block: one bit for each byte outside strings that is of a class, and for the quotes of strings.
struct Tokens {
  uint64_t strings;  // with the opening quotes, without the closing ones
  uint64_t opening, closing;
  uint64_t open, close, comma, colon, scalar;
  uint64_t brace;
  uint64_t objects;  // which bytes stand in an object; right for commas
};

// The mask of the bytes behind those of a mask; `carried` hands its last bit from block to block.
KAUDIT_INLINE uint64_t behind(uint64_t mask, uint64_t& carried) {
  const uint64_t shifted = mask << 1 | carried;
  carried = mask >> 63;
  return shifted;
}

// Closing quotes of keys. Adding the bit of an opening quote to the mask of strings carries to the closing one.
KAUDIT_INLINE uint64_t ends_of_keys(Grammar& g, const Tokens& t, uint64_t keys) {
  uint64_t sum;
  bool goes_on = __builtin_add_overflow(t.strings, keys, &sum);
  goes_on |= __builtin_add_overflow(sum, static_cast<uint64_t>(g.key_goes_on), &sum);
  g.key_goes_on = goes_on;
  return sum & t.closing;
}

// Bytes that break the grammar; those behind the value mean nothing. begins: where numbers and words begin.
KAUDIT_INLINE uint64_t wrong_bytes(Grammar& g, const Tokens& t, uint64_t& scalar_begins) {
  scalar_begins = t.scalar & ~behind(t.scalar, g.after_scalar);
  const uint64_t begins = t.opening | t.open | scalar_begins;
  const uint64_t brace_close = t.close & t.brace, bracket_close = t.close & ~t.brace;
  const uint64_t after_mark = behind(t.comma | t.colon, g.after_mark);
  const uint64_t after_brace = behind(t.open & t.brace, g.after_brace);
  const uint64_t after_bracket = behind(t.open & ~t.brace, g.after_bracket);
  const uint64_t after_key_comma = behind(t.comma & t.objects, g.after_key_comma);
  const uint64_t key_end = ends_of_keys(g, t, t.opening & (after_brace | after_key_comma));
  const uint64_t after_value = behind(t.closing | t.close | t.scalar, g.after_value);

  uint64_t wrong = begins & ~(after_mark | after_brace | after_bracket);
  wrong |= after_mark & ~begins;
  wrong |= after_key_comma & ~t.opening;
  wrong |= after_brace & ~(t.opening | brace_close);
  wrong |= after_bracket & ~(begins | bracket_close);
  wrong |= t.colon ^ behind(key_end, g.after_key);
  wrong |= t.comma & ~after_value;
  wrong |= brace_close & ~(after_value | after_brace);
  wrong |= bracket_close & ~(after_value | after_bracket);
  return wrong;
}

// One block. Returns the bytes that belong to the value: kBlock when it goes on, 0 when it is not JSON.
template <class Machine>
KAUDIT_INLINE int step(Grammar& g, const Block& block, const char* at) {
  uint64_t escaped = 0;
  if (block.slash != 0 || g.escape_goes_on) escaped = escaped_bytes(block.slash, g.escape_goes_on);
  const uint64_t quotes = block.quote & ~escaped;
  Tokens t;
  t.strings = Machine::prefix_xor(quotes) ^ g.in_string;
  const uint64_t outside = ~t.strings;
  t.opening = quotes & t.strings;
  t.closing = quotes & outside;
  t.open = block.open & outside;
  t.close = block.close & outside;
  t.comma = block.comma & outside;
  t.colon = block.colon & outside;
  t.scalar = outside & ~(t.closing | t.open | t.close | t.comma | t.colon);
  t.brace = block.brace;
  const int size = follow<Machine>(g, t.open, t.close, t.brace, t.objects);
  if (size == 0) return 0;
  const uint64_t ours = ~uint64_t{0} >> (kBlock - size);
  uint64_t scalar_begins;
  const uint64_t wrong = (block.control & t.strings) | wrong_bytes(g, t, scalar_begins);
  if ((wrong & ours) != 0) return 0;
  if (escaped != 0 && !escapes_hold(at, escaped & t.strings & ours)) return 0;
  if (!scalars_hold(at, scalar_begins & ours)) return 0;
  g.in_string = static_cast<uint64_t>(-static_cast<int64_t>(t.strings >> 63));
  return size;
}

// Behind the object or list that begins at `at`, which is not empty; nullptr when it is not compact JSON.
template <class Machine>
inline const char* value_end_with(const char* at, Seen& seen) {
  assert((*at == '{' || *at == '[') && at[1] != *at + 2);
  Grammar grammar;
  uint64_t high = 0;
  for (;;) {
    const Block block = Machine::load(at);
    high |= block.high;
    const int size = step<Machine>(grammar, block, at);
    if (size == 0) return nullptr;
    at += size;
    if (grammar.brackets == 1) break;
  }
  seen.high |= high != 0;
  return at;
}

#if defined(KAUDIT_AVX2)
// The one hot function with a copy of its own; flatten pulls step() in, compiled for the same instructions.
KAUDIT_TARGET_AVX2 __attribute__((flatten)) inline const char* value_end_avx2(const char* at, Seen& seen) {
  return value_end_with<Avx2>(at, seen);
}
#endif

inline const char* value_end(const char* at, Seen& seen) {
#if defined(KAUDIT_AVX2)
  if (has_avx2()) return value_end_avx2(at, seen);
#endif
  return value_end_with<Portable>(at, seen);
}

}  // namespace kaudit
