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

// Two numbers multiplied to 128 bits and folded: every bit of both counts.
inline uint64_t mix(uint64_t a, uint64_t b) {
  const auto product = static_cast<unsigned __int128>(a ^ 0x9e3779b97f4a7c15u) * (b ^ 0xe7037ed1a0b428dbu);
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

inline uint64_t hash_of(string_view text) {
  const char* at = text.data();
  const size_t size = text.size();
  if (size >= 16) {
    uint64_t hash = size;
    for (size_t i = 0; i + 16 < size; i += 16) hash = mix(hash ^ load8(at + i), load8(at + i + 8));
    return mix(hash ^ load8(at + size - 16), load8(at + size - 8));
  }
  if (size >= 8) return mix(size ^ load8(at), load8(at + size - 8));
  if (size >= 4) return mix(size ^ load4(at), load4(at + size - 4));
  uint64_t few = size;
  for (size_t i = 0; i < size; ++i) few = few << 8 | static_cast<unsigned char>(at[i]);
  return mix(few, size);
}

class Interning {
 public:
  // The number of a text, a new one if it has none yet.
  uint32_t intern(string_view text) {
    if ((texts_.size() + 1) * 2 > slots_.size()) grow();
    Slot& slot = slots_[find_slot(text, hash_of(text))];
    if (slot.number == 0) {
      texts_.push_back(text);
      sizes_ |= uint64_t{1} << (text.size() & 63);
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
      if (slot.number == 0 || (slot.tag == tag && same(texts_[slot.number - 1], text))) return at;
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
  uint64_t sizes_ = 0;  // bit n: some text has n bytes, modulo 64
};

}  // namespace kaudit
