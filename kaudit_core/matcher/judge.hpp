// Judge: what does the policy have against this line, for certain?
//
// Purpose:    finds out what the plain records are; names those that something else must look at.
// Layout:     read the line, rebuild the request, find the rule, compare level, stage, bodies and objectRef.
// Invariants: judge() accepts a line only where verification.judge finds exactly findings(), with the same rule. In all
//             other cases, whatever the reason, the reference judges the line: so the two engines can differ only where
//             this code is sure and wrong.
// Cost:       that of event.hpp, request_info.hpp and rows.hpp, and about 20 ns of its own.
//
// Mirrors verification.judge, bodies and crosscheck (B7-B11).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "event.hpp"
#include "request_info.hpp"
#include "rows.hpp"
#include "rules.hpp"
#include "tally.hpp"

namespace kaudit {

// Whether objectRef says what the URI says. Names and namespaces that the URI lacks may be filled in later, from the
// body; at RequestReceived nothing can have been.
inline bool consistent(const Event& event, const Attributes& request) {
  if (event.has_reference != request.resource_request) return false;
  if (!event.has_reference) return true;
  const ObjectReference& logged = event.reference;
  const bool received = event.stage == Stage::kRequestReceived;
  const auto fits = [received](string_view text, string_view in_uri) {
    return same(text, in_uri) || (!received && in_uri.empty());
  };
  if (received && !(logged.uid.empty() && logged.resource_version.empty())) return false;
  return same(logged.resource, request.resource) && same(logged.subresource, request.subresource) &&
         same(logged.api_group, request.api_group) && same(logged.api_version, request.api_version) &&
         fits(logged.name_space, request.name_space) && fits(logged.name, request.name);
}

// What a decision has against an event.
inline uint8_t against(const Event& event, const RuleConfig& config) {
  unsigned found = 0;
  if (config.level == Level::kNone) {
    found |= kUnexpectedEvent;
  } else if (event.level != config.level) {
    found |= event.level > config.level ? kLevelAbove : kLevelBelow;
  }
  if (event.request_body || event.response_body) {
    const Level lower = event.level < config.level ? event.level : config.level;
    const bool too_early = event.stage == Stage::kRequestReceived;
    if (event.request_body && (too_early || lower < Level::kRequest)) found |= kUnexpectedBody;
    if (event.response_body && (too_early || lower < Level::kRequestResponse)) found |= kUnexpectedBody;
  }
  if ((config.omitted_stages >> static_cast<int>(event.stage) & 1) != 0) found |= kUnexpectedStage;
  return static_cast<uint8_t>(found);
}

// One worker's judge: shares the rules, owns what it has counted.
class Judge {
 public:
  explicit Judge(const Rules& rules) : rules_(rules), rows_(rules), tally_(rules.count()) {}

  // Judges the line that begins at `begin`, behind which stands a newline; returns that newline when all there is to
  // find is in findings().
  const char* judge(const char* begin) {
    const char* const end = read_event(begin, rules_.names_replacement(), event_);
    if (end == nullptr || !info_.resolve(event_, request_) || !consistent(event_, request_)) return nullptr;
    rule_ = rows_.match(request_);
    const RuleConfig& config = rules_.config(rule_);
    // Perhaps fields that the server leaves alone, or none at all: the reference looks.
    if (config.omit_managed_fields && (event_.request_managed || event_.response_managed)) return nullptr;
    findings_ = against(event_, config);
    // A path "/" may have been judged as "": where it disagrees, that other decision counts.
    return findings_ != 0 && !request_.resource_request && request_.path == "/" ? nullptr : end;
  }

  // Counts the line that was judged last.
  void count(uint64_t size) { tally_.add(rule_, event_.level, event_.stage, findings_, size); }

  Tally& tally() { return tally_; }
  uint8_t findings() const { return findings_; }
  const Event& event() const { return event_; }
  const Attributes& request() const { return request_; }
  size_t rule() const { return rule_; }  // Rules::count() for none

 private:
  const Rules& rules_;
  Rows rows_;
  RequestInfo info_;
  Event event_;
  Attributes request_;
  size_t rule_ = 0;
  uint8_t findings_ = 0;
  Tally tally_;
};

}  // namespace kaudit
