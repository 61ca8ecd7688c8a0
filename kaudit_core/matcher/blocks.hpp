// Blocks: the class of each of 64 bytes, as bit masks.
//
// Purpose:    what grammar.hpp computes with: one bit a byte for quotes, backslashes, brackets, marks, controls.
// Layout:     a Block of masks; bit i is byte i. Four ways to fill one: AVX-512 and AVX2 (chosen at run time), SSE2,
//             bytes.
// Invariants: all give the same masks for the same bytes (a property test says so). A block is always read whole:
//             64 bytes must be readable, which kPadding guarantees at the end of a buffer.
// Cost:       AVX-512 about 20 instructions for 64 bytes, AVX2 55, SSE2 twice that, bytes several hundred.
//
// The idea of one bit a byte is simdjson's first stage (Langdale and Lemire, VLDB Journal 2019).
#pragma once

#include <cstdint>

#include "text.hpp"

#if defined(__x86_64__) && defined(KAUDIT_SSE2)
#define KAUDIT_AVX2 1
#include <immintrin.h>
#define KAUDIT_TARGET_AVX2 __attribute__((target("avx2,bmi,pclmul")))
#define KAUDIT_TARGET_AVX512 __attribute__((target("avx512f,avx512bw,avx2,bmi,pclmul")))
#endif

namespace kaudit {

constexpr int kBlock = 64;
constexpr uint64_t kLastByte = uint64_t{1} << (kBlock - 1);

struct Block {
  uint64_t quote;    // "
  uint64_t slash;    // backslash
  uint64_t open;     // { [
  uint64_t close;    // } ]
  uint64_t brace;    // { } : which of the brackets are braces
  uint64_t comma;    // ,
  uint64_t colon;    // :
  uint64_t control;  // below 0x20
  uint64_t high;     // beyond ASCII; only whether it is 0 counts
};

// What escapes are made of.
struct EscapeBlock {
  uint64_t meant;    // may follow a backslash
  uint64_t unicode;  // u
  uint64_t hex;      // hex digits
};

inline Block block_of_bytes(const char* at) {
  Block block = {};
  for (int i = 0; i < kBlock; ++i) {
    const unsigned char c = static_cast<unsigned char>(at[i]);
    const uint64_t bit = uint64_t{1} << i;
    if (c == '"') block.quote |= bit;
    if (c == '\\') block.slash |= bit;
    if (c == '{' || c == '[') block.open |= bit;
    if (c == '}' || c == ']') block.close |= bit;
    if (c == '{' || c == '}') block.brace |= bit;
    if (c == ',') block.comma |= bit;
    if (c == ':') block.colon |= bit;
    if (c < 0x20) block.control |= bit;
    if (c >= 0x80) block.high |= bit;
  }
  return block;
}

#if defined(KAUDIT_SSE2)
inline Block block_sse2(const char* at) {
  Block block = {};
  const auto same = [](__m128i bytes, char c) { return _mm_cmpeq_epi8(bytes, _mm_set1_epi8(c)); };
  for (int part = 0; part < 4; ++part) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at) + part);
    const __m128i folded = _mm_or_si128(bytes, _mm_set1_epi8(0x20));  // [ becomes {, ] becomes }
    const auto put = [part](uint64_t& mask, __m128i found) {
      mask |= static_cast<uint64_t>(static_cast<uint32_t>(_mm_movemask_epi8(found))) << (16 * part);
    };
    put(block.quote, same(bytes, '"'));
    put(block.slash, same(bytes, '\\'));
    put(block.open, same(folded, '{'));
    put(block.close, same(folded, '}'));
    put(block.brace, _mm_slli_epi16(bytes, 2));  // bit 0x20 to the sign
    put(block.comma, same(bytes, ','));
    put(block.colon, same(bytes, ':'));
    put(block.control, _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1f)), bytes));
    put(block.high, bytes);
  }
  block.brace &= block.open | block.close;
  return block;
}
#endif

#if defined(KAUDIT_AVX2)
KAUDIT_TARGET_AVX2 inline uint64_t bits_avx2(__m256i low, __m256i high) {
  return static_cast<uint32_t>(_mm256_movemask_epi8(low)) |
         static_cast<uint64_t>(static_cast<uint32_t>(_mm256_movemask_epi8(high))) << 32;
}

KAUDIT_TARGET_AVX2 inline uint64_t same_avx2(__m256i low, __m256i high, char c) {
  const __m256i wanted = _mm256_set1_epi8(c);
  return bits_avx2(_mm256_cmpeq_epi8(low, wanted), _mm256_cmpeq_epi8(high, wanted));
}

KAUDIT_TARGET_AVX2 inline Block block_avx2(const char* at) {
  const __m256i low = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at));
  const __m256i high = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at) + 1);
  const __m256i fold = _mm256_set1_epi8(0x20), limit = _mm256_set1_epi8(0x1f);
  const __m256i low_folded = _mm256_or_si256(low, fold), high_folded = _mm256_or_si256(high, fold);
  Block block;
  block.quote = same_avx2(low, high, '"');
  block.slash = same_avx2(low, high, '\\');
  block.open = same_avx2(low_folded, high_folded, '{');
  block.close = same_avx2(low_folded, high_folded, '}');
  block.brace = bits_avx2(_mm256_slli_epi16(low, 2), _mm256_slli_epi16(high, 2)) & (block.open | block.close);
  block.comma = same_avx2(low, high, ',');
  block.colon = same_avx2(low, high, ':');
  block.control = 0;
  const __m256i least = _mm256_min_epu8(low, high);
  if (_mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_min_epu8(least, limit), least)) != 0) {  // where a line ends
    block.control = bits_avx2(_mm256_cmpeq_epi8(_mm256_min_epu8(low, limit), low),
                              _mm256_cmpeq_epi8(_mm256_min_epu8(high, limit), high));
  }
  block.high = static_cast<uint32_t>(_mm256_movemask_epi8(_mm256_or_si256(low, high)));
  return block;
}

// Bits of the upper and of the lower half of a byte that have one in common for: 1 " and /, 2 the backslash, 4 b f n,
// 8 r t u, 16 the digits, 32 a to f in either case.
KAUDIT_TARGET_AVX2 inline __m256i escape_kinds_avx2(__m256i bytes) {
  const __m256i of_upper = _mm256_setr_epi8(0, 0, 1, 16, 32, 2, 36, 8, 0, 0, 0, 0, 0, 0, 0, 0,  //
                                            0, 0, 1, 16, 32, 2, 36, 8, 0, 0, 0, 0, 0, 0, 0, 0);
  const __m256i of_lower = _mm256_setr_epi8(16, 48, 61, 48, 56, 56, 52, 16, 16, 16, 0, 0, 2, 0, 4, 1,  //
                                            16, 48, 61, 48, 56, 56, 52, 16, 16, 16, 0, 0, 2, 0, 4, 1);
  const __m256i half = _mm256_set1_epi8(0x0f);
  const __m256i upper = _mm256_and_si256(_mm256_srli_epi16(bytes, 4), half), lower = _mm256_and_si256(bytes, half);
  return _mm256_and_si256(_mm256_shuffle_epi8(of_upper, upper), _mm256_shuffle_epi8(of_lower, lower));
}

// Bytes that have one of some bits.
KAUDIT_TARGET_AVX2 inline uint64_t any_avx2(__m256i low, __m256i high, char bits) {
  const __m256i wanted = _mm256_set1_epi8(bits), zero = _mm256_setzero_si256();
  return ~bits_avx2(_mm256_cmpeq_epi8(_mm256_and_si256(low, wanted), zero),
                    _mm256_cmpeq_epi8(_mm256_and_si256(high, wanted), zero));
}

KAUDIT_TARGET_AVX2 inline EscapeBlock escape_block_avx2(const char* at) {
  const __m256i low = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at));
  const __m256i high = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at) + 1);
  const __m256i low_kinds = escape_kinds_avx2(low), high_kinds = escape_kinds_avx2(high);
  EscapeBlock block;
  block.meant = any_avx2(low_kinds, high_kinds, 15);
  block.hex = any_avx2(low_kinds, high_kinds, 48);
  block.unicode = same_avx2(low, high, 'u');
  return block;
}

struct Avx2 {
  static constexpr bool kLooksUp = true;

  KAUDIT_TARGET_AVX2 static Block load(const char* at) { return block_avx2(at); }
  KAUDIT_TARGET_AVX2 static EscapeBlock load_escapes(const char* at) { return escape_block_avx2(at); }

  KAUDIT_TARGET_AVX2 static uint64_t prefix_xor(uint64_t bits) {
    const __m128i value = _mm_set_epi64x(0, static_cast<int64_t>(bits));
    return static_cast<uint64_t>(_mm_cvtsi128_si64(_mm_clmulepi64_si128(value, _mm_set1_epi8(-1), 0)));
  }
};

KAUDIT_TARGET_AVX512 inline uint64_t same_avx512(__m512i bytes, char c) {
  return _mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8(c));
}

KAUDIT_TARGET_AVX512 inline Block block_avx512(const char* at) {
  const __m512i bytes = _mm512_loadu_si512(at), fold = _mm512_set1_epi8(0x20), folded = _mm512_or_si512(bytes, fold);
  Block block;
  block.quote = same_avx512(bytes, '"');
  block.slash = same_avx512(bytes, '\\');
  block.open = same_avx512(folded, '{');
  block.close = same_avx512(folded, '}');
  block.brace = _mm512_test_epi8_mask(bytes, fold) & (block.open | block.close);
  block.comma = same_avx512(bytes, ',');
  block.colon = same_avx512(bytes, ':');
  block.control = _mm512_cmplt_epu8_mask(bytes, fold);
  block.high = _mm512_movepi8_mask(bytes);
  return block;
}

// All but load() as there.
struct Avx512 : Avx2 {
  KAUDIT_TARGET_AVX512 static Block load(const char* at) { return block_avx512(at); }
};

inline bool has_avx2() {
  static const bool found =
      __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("pclmul");
  return found;
}

// The last one is not used: processors that lack it run slower for a while after an instruction on 64 bytes.
inline bool has_avx512() {
  static const bool found = has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                            __builtin_cpu_supports("avx512vbmi2");
  return found;
}
#endif

struct Portable {
  static constexpr bool kLooksUp = false;

  static Block load(const char* at) {
#if defined(KAUDIT_SSE2)
    return block_sse2(at);
#else
    return block_of_bytes(at);
#endif
  }

  // Bit i: an odd number of bits up to and with i.
  static uint64_t prefix_xor(uint64_t bits) {
    for (int shift = 1; shift < kBlock; shift *= 2) bits ^= bits << shift;
    return bits;
  }
};

}  // namespace kaudit
