// Interning: the texts that a policy names, each with a number.
//
// Purpose:    every later comparison with a user, namespace or path is one look-up; what no rule mentions is 0.
// Layout:     open addressing with linear probing, at most half full; a slot holds the hash's upper half and a number.
// Invariants: numbers are dense from 1 and given in the order of first use; find() never changes anything, so threads
//             share a table. Texts are borrowed: they outlive the table. Only a policy fills one, never a log.
// Cost:       about 5 ns a look-up; an empty table answers at once.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "text.hpp"

namespace kaudit {

inline uint64_t mix(uint64_t value) {
  value *= 0x9e3779b97f4a7c15u;
  return value ^ (value >> 32);
}

inline uint64_t hash_of(string_view text) {
  const char* at = text.data();
  size_t left = text.size();
  uint64_t hash = mix(left);
  for (; left >= 8; at += 8, left -= 8) hash = mix(hash ^ load8(at));
  if (left != 0) {
    uint64_t rest = 0;
    std::memcpy(&rest, at, left);
    hash = mix(hash ^ rest);
  }
  return hash ^ (hash >> 29);
}

class Interning {
 public:
  // The number of a text, a new one if it has none yet.
  uint32_t intern(string_view text) {
    if ((texts_.size() + 1) * 2 > slots_.size()) grow();
    Slot& slot = slots_[find_slot(text, hash_of(text))];
    if (slot.number == 0) {
      texts_.push_back(text);
      slot = {static_cast<uint32_t>(hash_of(text) >> 32), static_cast<uint32_t>(texts_.size())};
    }
    return slot.number;
  }

  // The number of a text; 0 when it has none.
  uint32_t find(string_view text) const { return texts_.empty() ? 0 : slots_[find_slot(text, hash_of(text))].number; }

  size_t size() const { return texts_.size(); }

 private:
  struct Slot {
    uint32_t tag = 0;
    uint32_t number = 0;  // 0: free
  };

  // Where a text is, or the free slot where it would be.
  size_t find_slot(string_view text, uint64_t hash) const {
    const size_t last = slots_.size() - 1;
    const uint32_t tag = static_cast<uint32_t>(hash >> 32);
    for (size_t at = hash & last;; at = (at + 1) & last) {
      const Slot& slot = slots_[at];
      if (slot.number == 0 || (slot.tag == tag && texts_[slot.number - 1] == text)) return at;
    }
  }

  void grow() {
    std::vector<Slot> old(slots_.empty() ? 16 : slots_.size() * 2);
    old.swap(slots_);
    for (const Slot& slot : old) {
      if (slot.number != 0) {
        const string_view text = texts_[slot.number - 1];
        slots_[find_slot(text, hash_of(text))] = slot;
      }
    }
    assert(texts_.size() * 2 < slots_.size());
  }

  std::vector<Slot> slots_;
  std::vector<string_view> texts_;
};

}  // namespace kaudit
