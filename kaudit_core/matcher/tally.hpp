// Tally: what one worker has counted.
//
// Purpose:    the totals of a summary without an object for each event.
// Layout:     plain arrays: events and bytes by rule (the last place: no rule), events by level and stage, records by
//             the set of their findings.
// Invariants: sums over rules, over levels x stages, and over sets of findings are the same number of events. Tallies
//             add up in any order.
// Cost:       four additions a record; 16 bytes a rule.
//
// Mirrors verification.summary; the bits of a set are in the order of verification.findings.GRAVITY.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "event.hpp"

namespace kaudit {

// Findings that are decided here; 0 is agreement. All others are the reference's business.
enum Finding : uint8_t {
  kUnexpectedEvent = 1,
  kLevelAbove = 2,
  kUnexpectedBody = 4,
  kUnexpectedStage = 8,
  kLevelBelow = 16,
};
constexpr size_t kFindings = 5;
constexpr size_t kFindingSets = 32;

struct Count {
  uint64_t events = 0;
  uint64_t bytes = 0;
};

struct Tally {
  explicit Tally(size_t rules) : by_rule(rules + 1) {}

  // rule: rules for none.
  void add(size_t rule, Level level, Stage stage, uint8_t findings, uint64_t size) {
    ++by_rule[rule].events;
    by_rule[rule].bytes += size;
    ++by_level_and_stage[static_cast<size_t>(level) * kStages + static_cast<size_t>(stage)];
    ++by_findings[findings];
  }

  void clear() { *this = Tally(by_rule.size() - 1); }

  std::vector<Count> by_rule;
  uint64_t by_level_and_stage[kLevels * kStages] = {};
  uint64_t by_findings[kFindingSets] = {};
};

}  // namespace kaudit
