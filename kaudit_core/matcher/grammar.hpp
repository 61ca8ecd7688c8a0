// Grammar: is what begins here one whole JSON object or list, and where does it end?
//
// Purpose:    bodies are most of a log's bytes and nobody asks for their values, but a torn or damaged one makes the
//             event malformed. So they are checked completely, 64 bytes at a time.
// Layout:     read_block() finds a block's tokens, step() says whether they may stand where they do. The last byte of
//             each block is read again as the first of the next: so what may follow what is a shift by one bit, and
//             only strings, escapes and brackets go on from block to block. A block is read before the one in front
//             of it is judged: then a branch that was guessed wrongly there does not have to wait for its masks.
// Invariants: accepts a text exactly when Python's json does, for texts without white space between tokens, nested
//             up to 63; anything else is refused (nullptr), and the reference looks closer (it allows 10,000, as Go).
//             Every token of compact JSON touches its neighbours. A string is a key where it follows `{`, or `,` in an
//             object; then a colon must follow it and only then: adding the bits of the keys' opening quotes to the
//             mask of string bytes carries to their closing quotes. Of what stands behind the value nothing counts.
// Cost:       about 12 ns for 64 bytes with AVX-512, 14 with AVX2, 25 with SSE2; half of it where the text is so
// regular
//             that the processor guesses every branch.
//
// Mirrors what json_text.parse accepts; duplicate keys in bodies are for bodies.hpp.
#pragma once

#include <cassert>
#include <cstdint>

#include "blocks.hpp"
#include "brackets.hpp"
#include "escapes.hpp"
#include "text.hpp"

namespace kaudit {

constexpr int kStride = kBlock - 1;  // from block to block

// What the next block must know. Its first byte is the last of this one, so all but that byte is meant.
struct Grammar {
  uint64_t in_string = 0;  // all ones while a string goes on
  uint64_t escaped = 0;    // 1: the last byte is escaped
  uint64_t key = 0;        // 1: a key begins or goes on with the last byte, or ends there
  uint64_t brackets = 1;   // of brackets.hpp
};

// The tokens of a block: one bit for each byte outside strings that is of a class, and for the quotes of strings.
struct Tokens {
  uint64_t strings;  // with the opening quotes, without the closing ones
  uint64_t opening, closing;
  uint64_t open, close, comma, colon, scalar;
  uint64_t brace;
  uint64_t escaped, control;
};

// Reads a block; in_string and escaped are then those of the next one.
template <class Machine>
KAUDIT_INLINE Tokens read_block(Grammar& g, const char* at, uint64_t& high) {
  const Block block = Machine::load(at);
  high |= block.high;
  Tokens t;
  t.escaped = (block.slash | g.escaped) != 0 ? escaped_bytes(block.slash, g.escaped) : 0;
  const uint64_t quotes = block.quote & ~t.escaped;
  t.strings = Machine::prefix_xor(quotes) ^ g.in_string;
  g.escaped = t.escaped >> (kBlock - 1);
  g.in_string = 0 - (t.strings >> (kBlock - 2) & 1);
  const uint64_t outside = ~t.strings;
  t.opening = quotes & t.strings;
  t.closing = quotes & outside;
  t.open = block.open & outside;
  t.close = block.close & outside;
  t.comma = block.comma & outside;
  t.colon = block.colon & outside;
  t.scalar = outside & ~(quotes | block.open | block.close | block.comma | block.colon);
  t.brace = block.brace;
  t.control = block.control;
  return t;
}

// Bytes that may not follow the byte before them. What follows the last byte is the next block's business.
// objects: which bytes stand in an object, right for commas.
KAUDIT_INLINE uint64_t misplaced(Grammar& g, const Tokens& t, uint64_t objects) {
  const uint64_t ends = t.closing | t.close;
  const uint64_t after_key_place = ((t.open & t.brace) | (t.comma & objects)) << 1;
  const uint64_t keys = t.opening & after_key_place, sum = t.strings + keys + g.key;
  const uint64_t key_ends = sum & t.closing;
  // In the last byte the sum is changed when it belongs to a key: one that begins there, goes on or ends.
  g.key = (sum ^ t.strings) >> (kBlock - 1);

  // Scalars need no word about what stands behind them: scalars_hold looks there.
  const uint64_t begins = t.opening | t.open | t.scalar;
  uint64_t wrong = ((t.comma | t.colon) << 1 & ~begins) | (ends << 1 & begins) | (t.open << 1 & t.comma);
  wrong |= after_key_place & (t.open | t.scalar);
  wrong |= t.colon ^ key_ends << 1;
  return wrong & ~uint64_t{1};
}

// Whether each number or word that begins in the block is one, and ends where its bytes do.
inline bool scalars_hold(const char* at, uint64_t begins) {
  for (; begins != 0; begins &= begins - 1) {
    const char* const end = scalar_end(at + __builtin_ctzll(begins));
    if (end == nullptr || (*end != ',' && *end != '}' && *end != ']')) return false;
  }
  return true;
}

// One block. Returns the bytes that belong to the value: kBlock when it goes on, 0 when it is not JSON.
template <class Machine>
KAUDIT_INLINE int step(Grammar& g, const Tokens& t, const char* at) {
  uint64_t objects;
  const int size = follow<Machine>(g.brackets, t.open, t.close, t.brace, objects);
  if (size == 0) return 0;
  const uint64_t ours = ~uint64_t{0} >> (kBlock - size);
  const uint64_t wrong = t.control | misplaced(g, t, objects);
  if ((wrong & ours) != 0) return 0;
  if (t.escaped != 0 && !escapes_hold<Machine>(at, t.escaped & ours)) return 0;
  // The first byte is no beginning: it was the last of the block before.
  if (t.scalar != 0 && !scalars_hold(at, t.scalar & ~(t.scalar << 1 | 1) & ours)) return 0;
  return size;
}

// Behind the object or list that begins at `at`, which is not empty; nullptr when it is not compact JSON.
template <class Machine>
inline const char* value_end_with(const char* at, Seen& seen) {
  assert((*at == '{' || *at == '[') && at[1] != *at + 2);
  Grammar grammar;
  uint64_t high = 0;
  Tokens tokens = read_block<Machine>(grammar, at, high);
  for (;;) {
    const Tokens next = read_block<Machine>(grammar, at + kStride, high);
    const int size = step<Machine>(grammar, tokens, at);
    if (size == 0) return nullptr;
    if (size != kBlock) {
      at += size;
      break;
    }
    at += kStride;
    tokens = next;
  }
  seen.high |= high != 0;
  return at;
}

#if defined(KAUDIT_AVX2)
// The one hot function with copies of its own; flatten pulls all of it in, compiled for the same instructions.
KAUDIT_TARGET_AVX2 __attribute__((flatten)) inline const char* value_end_avx2(const char* at, Seen& seen) {
  return value_end_with<Avx2>(at, seen);
}

KAUDIT_TARGET_AVX512 __attribute__((flatten)) inline const char* value_end_avx512(const char* at, Seen& seen) {
  return value_end_with<Avx512>(at, seen);
}
#endif

inline const char* value_end(const char* at, Seen& seen) {
#if defined(KAUDIT_AVX2)
  if (has_avx512()) return value_end_avx512(at, seen);
  if (has_avx2()) return value_end_avx2(at, seen);
#endif
  return value_end_with<Portable>(at, seen);
}

}  // namespace kaudit
