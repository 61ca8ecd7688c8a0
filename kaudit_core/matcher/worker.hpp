// Worker: one thread's share of a segment: judges block after block, keeps what it can't decide for its caller.
//
// Purpose:    the loop over lines, so that Python is entered only for records that need it.
// Layout:     advance() takes blocks from the reader until one holds odd records, the budget is spent or the segment
//             ends; then the caller looks at `odd` and calls again. Odd records point into the worker's block.
// Invariants: every line is counted by the judge, blank, or in odd exactly once. A blank line is no record. Nothing
//             depends on how lines fall into blocks, but the numbers of the blocks themselves.
// Cost:       nothing beside that of the judge.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "columns.hpp"
#include "judge.hpp"
#include "reader.hpp"

namespace kaudit {

// A record that the native judge does not decide.
struct Odd {
  uint64_t block;    // lines are counted in blocks, because nobody knows yet how many the earlier blocks have
  uint64_t line;     // in the block, from 0
  uint64_t offset;   // in the segment
  uint64_t size;     // newline included
  const char* data;  // without the newline; nullptr for a line that is too long
  uint64_t length;
  bool unfinished;  // no newline: the last of the segment
};

class Worker {
 public:
  // projects: fill columns() with the records of the last block that are not odd.
  explicit Worker(const Rules& rules, bool projects = false) : judge_(rules), projects_(projects) {}

  // Begins a segment in which the first `examples` records of each finding are wanted as odd ones.
  void begin(uint64_t examples) {
    for (uint64_t& wanted : wanted_) wanted = examples;
    judge_.tally().clear();
  }

  // False when the segment has no more blocks.
  bool advance(Reader& reader, uint64_t budget) {
    odd_.clear();
    columns_.clear();
    lines_ = 0;
    for (bytes_ = 0; bytes_ < budget && odd_.empty();) {
      if (!reader.next(piece_)) return false;
      const uint64_t more = judge_lines(reader.max_line());
      reader.finished(piece_, more);
      lines_ += more;
      bytes_ += piece_.too_long != 0 ? piece_.too_long : static_cast<uint64_t>(piece_.end - piece_.begin);
    }
    return true;
  }

  const std::vector<Odd>& odd() const { return odd_; }
  const Columns& columns() const { return columns_; }
  uint64_t bytes() const { return bytes_; }  // taken by the last advance()
  uint64_t lines() const { return lines_; }
  Judge& judge() { return judge_; }

 private:
  // Judges the lines of the block; returns how many there are.
  uint64_t judge_lines(size_t max_line) {
    if (piece_.too_long != 0) {
      odd_.push_back({piece_.number, 0, piece_.offset, piece_.too_long, nullptr, 0, piece_.unfinished});
      return 1;
    }
    const char* const whole = piece_.unfinished ? last_newline() : piece_.end;
    uint64_t line = 0;
    for (const char* at = piece_.begin; at < whole; ++line) {
      const char* end = judge_.judge(at);
      if (end != nullptr && static_cast<size_t>(end - at) <= max_line && !is_wanted(judge_.findings())) {
        const uint64_t size = static_cast<uint64_t>(end + 1 - at);
        judge_.count(size);
        if (projects_) project(at, size, line);
      } else {
        end = static_cast<const char*>(std::memchr(at, '\n', static_cast<size_t>(whole - at)));
        keep(at, end, line, max_line, false);
      }
      at = end + 1;
    }
    if (piece_.unfinished) keep(whole, piece_.end, line, max_line, true);
    return line;
  }

  void project(const char* at, uint64_t size, uint64_t line) {
    const uint64_t offset = piece_.offset + static_cast<uint64_t>(at - piece_.begin);
    columns_.add(judge_.event(), offset, size, line, judge_.rule(), judge_.findings());
  }

  // Whether a record may be one of the first with one of its findings: then its words are wanted, not only its number.
  // A worker's blocks come in order, so what it does not want can't be among the first of the segment.
  bool is_wanted(uint8_t findings) {
    bool wanted = false;
    for (size_t i = 0; findings != 0; ++i, findings = static_cast<uint8_t>(findings >> 1)) {
      if ((findings & 1) == 0 || wanted_[i] == 0) continue;
      --wanted_[i];
      wanted = true;
    }
    return wanted;
  }

  const char* last_newline() const {
    const char* const found = kaudit::last_newline(piece_.begin, piece_.end);
    return found == nullptr ? piece_.begin : found + 1;
  }

  void keep(const char* begin, const char* end, uint64_t line, size_t max_line, bool unfinished) {
    const uint64_t length = static_cast<uint64_t>(end - begin);
    const bool too_long = length > max_line;
    if (!too_long && is_blank(begin, end)) return;
    const uint64_t offset = piece_.offset + static_cast<uint64_t>(begin - piece_.begin);
    odd_.push_back({piece_.number, line, offset, length + !unfinished, too_long ? nullptr : begin, length, unfinished});
  }

  static bool is_blank(const char* begin, const char* end) {
    while (begin < end && (*begin == ' ' || *begin == '\t' || *begin == '\r' || *begin == '\n')) ++begin;
    return begin == end;
  }

  Judge judge_;
  const bool projects_;
  Columns columns_;
  Piece piece_;
  std::vector<Odd> odd_;
  uint64_t wanted_[kFindings] = {};
  uint64_t bytes_ = 0, lines_ = 0;
};

}  // namespace kaudit
