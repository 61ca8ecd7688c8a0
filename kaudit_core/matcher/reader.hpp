// Reader: one segment, handed out block by block, each block a number of whole lines.
//
// Purpose:    several workers read one segment: one at a time takes the next bytes, all judge at the same time.
// Layout:     a block's memory begins with room for the line that the block before left torn, then a page-aligned
//             place for what is read. Reading begins at page-aligned file offsets, because copies to a destination just
//             behind the source's offset in its page run at a quarter of the speed on some processors.
// Invariants: blocks in the order of their numbers are the segment, without gaps. Every line of a block ends with a
//             newline, but the last of the last block; a line longer than allowed is a block without its bytes. Memory
//             is bounded by the longest line allowed. A file that grows is read on; one that shrinks just ends (pread,
//             no mapping: no signal).
// Cost:       one copy out of the page cache, and of one torn line a block.
#pragma once

#include <sys/types.h>
#include <unistd.h>

#include <cassert>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>
#include <vector>

#include "text.hpp"

namespace kaudit {

constexpr size_t kPage = 4096;

// Where bytes come from: a file descriptor that is read by position, or a function. Returns the bytes read, 0 at the
// end, negative when it failed.
struct Source {
  int file = -1;
  ssize_t (*read)(void* context, char* into, size_t size) = nullptr;
  void* context = nullptr;
};

// Bytes that grow without being copied twice: large ones are moved by the kernel.
class Bytes {
 public:
  Bytes() = default;
  Bytes(const Bytes&) = delete;
  Bytes& operator=(const Bytes&) = delete;
  ~Bytes() { std::free(data_); }

  void append(const char* begin, const char* end) {
    const size_t more = static_cast<size_t>(end - begin);
    if (size_ + more + kPadding > room_) {
      room_ = (size_ + more + kPadding) * 5 / 4;
      auto* const grown = static_cast<char*>(std::realloc(data_, room_));
      if (grown == nullptr) throw std::bad_alloc();
      data_ = grown;
    }
    std::memcpy(data_ + size_, begin, more);
    size_ += more;
  }

  void clear() {
    size_ = 0;
    if (room_ <= kKept) return;
    std::free(data_);
    data_ = nullptr;
    room_ = 0;
  }

  void swap(Bytes& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(room_, other.room_);
  }

  char* begin() const { return data_; }
  char* end() const { return data_ + size_; }
  size_t size() const { return size_; }

 private:
  static constexpr size_t kKept = size_t{1} << 20;
  char* data_ = nullptr;
  size_t size_ = 0, room_ = 0;
};

// One worker's block. The bytes are its own until it asks for the next.
struct Piece {
  Piece() = default;
  Piece(const Piece&) = delete;
  Piece& operator=(const Piece&) = delete;
  ~Piece() { std::free(memory); }

  const char* begin = nullptr;
  const char* end = nullptr;
  uint64_t number = 0;
  uint64_t offset = 0;
  uint64_t too_long = 0;    // not 0: one line of so many bytes, its newline included, of which none are here
  bool unfinished = false;  // the last line has no newline
  char* memory = nullptr;
  size_t before = 0;  // bytes in front of the place to read to
  size_t size = 0;    // bytes from there on
  Bytes line;         // a line that is longer than a block
};

class Reader {
 public:
  Reader(const Source& source, size_t block, size_t max_line) : source_(source), block_(block), max_line_(max_line) {}
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  // Fills the piece with the next block; false when there is none.
  bool next(Piece& piece) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (ended_) return false;
    piece.line.clear();
    make_room(piece, torn_.size());
    piece.number = lines_.size();
    piece.offset = offset_;
    piece.too_long = 0;
    piece.unfinished = false;
    char* const place = piece.memory + piece.before;
    char* const begin = place - torn_.size();
    if (torn_.size() != 0) std::memcpy(begin, torn_.begin(), torn_.size());
    torn_.clear();
    char* const end = place + fill(place);
    piece.begin = begin;
    piece.end = end;
    if (!cut(piece)) return false;
    offset_ += piece.too_long != 0 ? piece.too_long : static_cast<uint64_t>(piece.end - piece.begin);
    lines_.push_back(0);
    return true;
  }

  // Says how many lines a block had.
  void finished(const Piece& piece, uint64_t lines) {
    const std::lock_guard<std::mutex> lock(mutex_);
    lines_[piece.number] = lines;
  }

  // Once every block is finished: the lines before each of them.
  std::vector<uint64_t> lines_before() const {
    std::vector<uint64_t> before(lines_.size());
    for (size_t i = 1; i < before.size(); ++i) before[i] = before[i - 1] + lines_[i - 1];
    return before;
  }

  // The error that ended reading, as errno has it; 0 when none did. A function's own error is its own affair.
  int error() const { return error_; }
  bool failed() const { return failed_; }
  size_t max_line() const { return max_line_; }

 private:
  void make_room(Piece& piece, size_t before) {
    before = (before + kPage) / kPage * kPage;
    if (piece.memory != nullptr && before <= piece.before && block_ <= piece.size) return;
    std::free(piece.memory);
    piece.before = before < kFront ? kFront : before;
    piece.size = block_;
    const size_t whole = (piece.before + piece.size + kPadding + kPage - 1) / kPage * kPage;
    piece.memory = static_cast<char*>(std::aligned_alloc(kPage, whole));
    if (piece.memory == nullptr) throw std::bad_alloc();
    std::memset(piece.memory, 0, whole);
  }

  // Reads a whole block unless the source ends; says in ended_ whether it did.
  size_t fill(char* place) {
    size_t filled = 0;
    while (filled < block_) {
      const ssize_t got = read_some(place + filled, block_ - filled);
      if (got <= 0) {
        ended_ = true;
        failed_ = got < 0;
        break;
      }
      filled += static_cast<size_t>(got);
    }
    return filled;
  }

  ssize_t read_some(char* into, size_t size) {
    if (source_.read != nullptr) return source_.read(source_.context, into, size);
    ssize_t got;
    do {
      got = pread(source_.file, into, size, static_cast<off_t>(position_));
    } while (got < 0 && errno == EINTR);
    if (got < 0) error_ = errno;
    if (got > 0) position_ += static_cast<uint64_t>(got);
    return got;
  }

  // Cuts the torn line off the end of what was read; false when nothing is left.
  bool cut(Piece& piece) {
    const size_t size = static_cast<size_t>(piece.end - piece.begin);
    if (ended_) {
      piece.unfinished = size != 0 && piece.end[-1] != '\n';
      return size != 0;
    }
    const char* const newline = last_newline(piece.begin, piece.end);
    if (newline == nullptr) return gather(piece);
    torn_.append(newline + 1, piece.end);
    piece.end = newline + 1;
    return true;
  }

  // A line that is longer than a block: reads on to its end, keeping it unless it is too long.
  bool gather(Piece& piece) {
    char* const place = piece.memory + piece.before;
    uint64_t total = static_cast<uint64_t>(piece.end - piece.begin);
    if (total <= max_line_) piece.line.append(piece.begin, piece.end);
    const char *newline = nullptr, *end = place;
    while (newline == nullptr && !ended_) {
      end = place + fill(place);
      newline = static_cast<const char*>(std::memchr(place, '\n', static_cast<size_t>(end - place)));
      const char* const stop = newline == nullptr ? end : newline + 1;
      total += static_cast<uint64_t>(stop - place);
      total - (newline != nullptr) <= max_line_ ? piece.line.append(place, stop) : piece.line.clear();
    }
    if (newline != nullptr) torn_.append(newline + 1, end);
    // The rest may hold whole lines, and may be all there is: then another block must follow.
    piece.unfinished = newline == nullptr;
    if (newline != nullptr) rest_pending();
    if (total - (newline != nullptr) > max_line_) piece.too_long = total;
    piece.begin = piece.line.begin();
    piece.end = piece.line.end();
    return true;
  }

  // When the source ended behind a long line, what stands behind it is still to be handed out.
  void rest_pending() {
    if (ended_ && torn_.size() != 0) ended_ = false;
  }

  static constexpr size_t kFront = size_t{64} << 10;

  const Source source_;
  const size_t block_, max_line_;
  std::mutex mutex_;
  Bytes torn_;
  uint64_t position_ = 0, offset_ = 0;
  bool ended_ = false, failed_ = false;
  int error_ = 0;
  std::vector<uint64_t> lines_;  // of each block
};

}  // namespace kaudit
