// Brackets: which are open where, followed through a block.
//
// Purpose:    tells objects from lists at every byte, finds where a value ends, and refuses brackets that do not match.
// Layout:     those open are one number, a bit each, the innermost last: 1 is a brace. Above them stands a 1.
// Invariants: {} and [] change nothing and are passed over: half of the brackets in managedFields are such. The last
//             byte of a block is the first of the next, and looked at there.
// Cost:       about 1 ns a bracket, and a branch that is hard to guess. Two ways round it were tried and are no faster:
//             to count braces within braces, and to follow the brackets of eight blocks in one loop.
#pragma once

#include <cstdint>

#include "blocks.hpp"
#include "text.hpp"

namespace kaudit {

// objects: which bytes stand in an object, right for commas. Returns how many bytes belong to the value: kBlock when it
// goes on, 0 when brackets do not match or are too many.
template <class Machine>
KAUDIT_INLINE int follow(uint64_t& stack, uint64_t open, uint64_t close, uint64_t brace, uint64_t& objects) {
  open &= ~kLastByte;
  close &= ~kLastByte;
  const uint64_t empty = open & close >> 1 & ~(brace ^ brace >> 1);
  uint64_t brackets = stack, turns = 0, wrong = 0;
  const uint64_t before = brackets & 1;
  int size = kBlock;
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
  stack = brackets;
  objects = Machine::prefix_xor(turns) ^ (0 - before);
  return wrong != 0 ? 0 : size;
}

}  // namespace kaudit
