// Brackets: which are open where, followed through a block.
//
// Purpose:    tells objects from lists at every byte, finds where a value ends, and refuses brackets that do not match.
// Layout:     those open are one number, a bit each, the innermost last: 1 is a brace. Above them stands a 1. {} and []
//             change nothing and are passed over: half of the brackets in managedFields are such.
// Invariants: the same as pushing and popping one by one. follow() takes three ways: nothing to follow; braces only, in
//             braces that the block can't leave, where only their number counts; and one bracket after the other.
// Cost:       about 2 ns for a block of braces, 1 ns a bracket otherwise.
#pragma once

#include <cstdint>

#include "blocks.hpp"

namespace kaudit {

// One bracket after the other. Returns how many bytes belong to the value: kBlock when it goes on, 0 when brackets do
// not match or are too many.
template <class Machine>
inline int follow_each(uint64_t& stack, uint64_t left, uint64_t open, uint64_t brace, uint64_t& objects) {
  uint64_t brackets = stack, turns = 0, wrong = 0;
  const uint64_t before = brackets & 1;
  int size = kBlock;
  for (; left != 0; left &= left - 1) {
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
  stack = brackets;
  objects = Machine::prefix_xor(turns) ^ (0 - before);
  return wrong != 0 ? 0 : size;
}

// Follows the brackets of a block, of which the last byte is the next block's first. objects: which bytes stand in an
// object, right for commas. Returns what follow_each does.
template <class Machine>
KAUDIT_INLINE int follow(uint64_t& stack, uint64_t open, uint64_t close, uint64_t brace, uint64_t& objects) {
  open &= ~kLastByte;
  close &= ~kLastByte;
  const uint64_t empty = open & close >> 1 & ~(brace ^ brace >> 1);
  open &= ~empty;
  close &= ~(empty << 1);
  const uint64_t left = open | close;
  objects = 0 - (stack & 1);
  if (left == 0) return kBlock;
  const int opened = __builtin_popcountll(open), closed = __builtin_popcountll(close);
  // ~stack is never 0: the 1 above would have to be the last of 64 open braces.
  const int braces = ~stack == 0 ? kBlock : __builtin_ctzll(~stack), room = __builtin_clzll(stack);
  if ((left & ~brace) != 0 || closed + 2 > braces || opened > room) {
    return follow_each<Machine>(stack, left, open, brace, objects);
  }
  stack = stack >> closed << opened | ((uint64_t{1} << opened) - 1);
  return kBlock;
}

}  // namespace kaudit
