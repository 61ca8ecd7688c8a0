// Path: where a URI's path ends and where its slashes are, found in one pass.
//
// Purpose:    a URI is looked at for five bytes, and split at one of them half
// a dozen times; searching for each anew
//             costs more than to mark them all.
// Layout:     a bit a byte for the first kMarked bytes. The last 16 bytes of a
// shorter text are read where they end, so
//             nothing behind the text is looked at.
// Invariants: mark() is true only for a text of plain bytes: then all marks
// hold. Else the caller searches for itself. Cost:       about 8 ns, without a
// branch that depends on the length but for that beyond 64.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "text.hpp"

namespace kaudit {

constexpr size_t kMarked = 128;

struct UriMarks {
  uint64_t slashes[2];
  size_t path_size;  // up to the first ?
};

#if defined(KAUDIT_SSE2)
struct UriBytes {
  uint64_t slashes[2] = {}, ends[2] = {}, odd[2] = {};
  __m128i deletes = _mm_setzero_si128();

  // The 16 bytes at `at`, or the last 16 of those up to `size`, as part of 64
  // bytes.
  KAUDIT_INLINE void read(const char* begin, size_t at, size_t size, size_t word) {
    if (at + 16 > size) at = size - 16;
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(begin + at));
    const auto same = [bytes](char c) { return _mm_cmpeq_epi8(bytes, _mm_set1_epi8(c)); };
    const auto put = [at, word](uint64_t* into, __m128i found) {
      // A text's last bytes may begin in the 64 before: what belongs there is
      // there already.
      const auto bits = static_cast<uint64_t>(static_cast<uint32_t>(_mm_movemask_epi8(found)));
      into[word] |= at >= word * 64 ? bits << (at - word * 64) : bits >> (word * 64 - at);
    };
    put(slashes, same('/'));
    put(ends, same('?'));
    put(odd, _mm_or_si128(same('%'), same('\\')));
    deletes = _mm_or_si128(deletes, same(0x7f));
  }
};

// False for a text with percent escapes or backslashes in its path, DEL
// anywhere, or too short or long to tell.
inline bool mark(string_view uri, UriMarks& marks) {
  if (uri.size() < 16) return false;
  const size_t size = uri.size() < kMarked ? uri.size() : kMarked;
  UriBytes found;
  for (size_t i = 0; i < 4; ++i) found.read(uri.data(), i * 16, size, 0);
  if (size > 64) {
    for (size_t i = 4; i < 8; ++i) found.read(uri.data(), i * 16, size, 1);
  }
  if (_mm_movemask_epi8(found.deletes) != 0) return false;
  if (size != uri.size() && std::memchr(uri.data() + size, 0x7f, uri.size() - size) != nullptr) return false;
  if ((found.ends[0] | found.ends[1]) == 0 && size != uri.size()) return false;
  const auto below = [](uint64_t bits) { return (bits - 1) & ~bits; };  // its lowest bit; all where it has none
  const uint64_t in_path[2] = {below(found.ends[0]), found.ends[0] != 0 ? 0 : below(found.ends[1])};
  if (((found.odd[0] & in_path[0]) | (found.odd[1] & in_path[1])) != 0) return false;
  marks.slashes[0] = found.slashes[0] & in_path[0];
  marks.slashes[1] = found.slashes[1] & in_path[1];
  const size_t word = found.ends[0] != 0 ? 0 : 1;
  const bool ends = found.ends[word] != 0;
  marks.path_size = ends ? word * 64 + static_cast<size_t>(__builtin_ctzll(found.ends[word])) : uri.size();
  return true;
}
#else
inline bool mark(string_view, UriMarks&) { return false; }
#endif

}  // namespace kaudit
