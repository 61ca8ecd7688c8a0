// Escapes: which bytes of a block a backslash takes its meaning from, and whether it may.
//
// Purpose:    texts within texts (annotations, commands) hold an escape every few bytes; a loop over them would cost
//             more than all else in such a block.
// Layout:     runs of backslashes are told by addition: a bit added to a run's first byte carries to the byte behind
//             it. What may follow a backslash, and hex digits, are looked up by the two halves of a byte.
// Invariants: accepts exactly what escape_end accepts, for every escaped byte but the last of the block, which is the
//             next block's first.
// Cost:       about 4 ns for a block that holds a backslash, with AVX2; elsewhere 2 ns an escape.
//
// Mirrors the escapes of RFC 8259, as Python's json takes them.
#pragma once

#include <cstdint>

#include "blocks.hpp"
#include "text.hpp"

namespace kaudit {

// Bit i: byte i is escaped. first: the block's first byte is.
KAUDIT_INLINE uint64_t escaped_bytes(uint64_t slash, uint64_t first) {
  constexpr uint64_t kEven = 0x5555555555555555u;
  slash &= ~first;
  const uint64_t begins = slash & ~(slash << 1);
  // A run and the byte behind it: in it every second byte is escaped, beginning with the run's second.
  const uint64_t from_even = (slash + (begins & kEven)) ^ slash, from_odd = (slash + (begins & ~kEven)) ^ slash;
  return first | (from_even & ~kEven) | (from_odd & kEven);
}

// Whether each escaped byte may follow a backslash.
inline bool escapes_hold_each(const char* at, uint64_t escaped) {
  for (; escaped != 0; escaped &= escaped - 1) {
    if (escape_end(at + __builtin_ctzll(escaped) - 1) == nullptr) return false;
  }
  return true;
}

// The same for the bytes that Machine can tell about: those with four bytes of the block behind them.
template <class Machine>
KAUDIT_INLINE bool escapes_hold(const char* at, uint64_t escaped) {
  escaped &= ~kLastByte;
  if constexpr (!Machine::kLooksUp) {
    return escapes_hold_each(at, escaped);
  } else {
    const EscapeBlock block = Machine::load_escapes(at);
    const uint64_t unicode = escaped & block.unicode, late = unicode >> (kBlock - 5) << (kBlock - 5);
    const uint64_t early = unicode ^ late, pairs = early << 1 | early << 2;
    const uint64_t wrong = (escaped & ~block.meant) | ((pairs | pairs << 2) & ~block.hex);
    return wrong == 0 && escapes_hold_each(at, late);
  }
}

}  // namespace kaudit
