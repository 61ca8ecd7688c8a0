// Record boundaries: where the terminated lines of a block of log end.
//
// Purpose:    says how many newline-terminated lines a block of bytes holds and where the unterminated rest begins, so
//             that a reader can judge whole lines and carry the rest over to the next block.
// Layout:     one pass with memchr, which the C library vectorises; nothing is stored per line.
// Invariants: end <= size; count == 0 exactly when end == 0; data[end - 1] is a newline when end > 0; no newline in
//             data[end, size). Splitting a block anywhere and carrying the rest over gives the same total count.
// Cost:       one read of every byte, one call of memchr per line; no allocation, no exception.
//
// Mirrors the log backend of the API server (plugin/pkg/audit/log/backend.go): one event per line, the newline last.
// A carriage return before the newline is part of the line. Input memory is borrowed for the call only.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstring>

namespace kaudit {

struct TerminatedLines {
  std::size_t count;  // newlines in the block
  std::size_t end;    // offset of the byte after the last newline; 0 if there is none
};

inline TerminatedLines terminated_lines(const char* data, std::size_t size) noexcept {
  TerminatedLines lines{0, 0};
  // memchr on a null pointer is undefined even for size 0, and an empty buffer may have one.
  while (lines.end < size) {
    const void* newline = std::memchr(data + lines.end, '\n', size - lines.end);
    if (newline == nullptr) break;
    lines.end = static_cast<std::size_t>(static_cast<const char*>(newline) - data) + 1;
    ++lines.count;
  }
  assert(lines.end <= size && (lines.count == 0) == (lines.end == 0));
  assert(lines.end == 0 || data[lines.end - 1] == '\n');
  return lines;
}

}  // namespace kaudit
