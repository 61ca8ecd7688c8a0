// Rules: a policy compiled to clauses, dimensions and, for every text a rule names, the clauses that name it.
//
// Purpose:    the first matching rule of any number of rules, at a cost that hardly depends on the number.
// Layout:     a rule becomes one clause for each entry of its `resources` (resourceNames bind to their entry), or one.
//             A Dimension is one thing that is looked at: user, group, verb, namespace, API group, resource pattern,
//             resource name, path. It holds which clauses do not look at it (a bit each) and, for every text, which
//             clauses take it. rows.hpp turns that into bit rows and ands them.
// Invariants: immutable once built, so threads share it. Texts are borrowed from `texts`, which the Rules own. Clauses
//             of one rule stand side by side, in the order of the rules.
// Cost:       building is linear: about 3 ms for 10,000 rules.
//
// Mirrors k8s.io/apiserver pkg/audit/policy/checker.go (M1-M11), with the idea of Lakshman and Stiliadis (SIGCOMM 98).
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "event.hpp"
#include "interning.hpp"
#include "text.hpp"

namespace kaudit {

// Which clauses take which text.
class Dimension {
 public:
  void name(uint32_t clause, string_view text) { named_.emplace_back(texts_.intern(text), clause); }
  void ignore(uint32_t clause) { ignoring_.push_back(clause); }

  // Sorts the clauses by text; words: of 64 clauses, all rows are that long.
  void finish(size_t words, size_t clauses) {
    any_.assign(words, 0);
    for (const uint32_t clause : ignoring_) any_[clause / 64] |= uint64_t{1} << (clause % 64);
    starts_.assign(texts_.size() + 2, 0);
    for (const auto& [text, clause] : named_) ++starts_[text + 1];
    for (size_t i = 1; i < starts_.size(); ++i) starts_[i] += starts_[i - 1];
    clauses_.resize(named_.size());
    std::vector<uint32_t> next(starts_.begin(), starts_.end());
    for (const auto& [text, clause] : named_) clauses_[next[text]++] = clause;
    looked_at_ = ignoring_.size() != clauses;
    named_.clear();
    named_.shrink_to_fit();
    ignoring_.clear();
    ignoring_.shrink_to_fit();
  }

  uint32_t find(string_view text) const { return texts_.find(text); }
  size_t size() const { return texts_.size(); }
  bool looked_at() const { return looked_at_; }  // false: no clause looks at it
  const uint64_t* any() const { return any_.data(); }
  const uint32_t* begin(uint32_t text) const { return clauses_.data() + starts_[text]; }
  const uint32_t* end(uint32_t text) const { return clauses_.data() + starts_[text + 1]; }

 private:
  Interning texts_;
  std::vector<std::pair<uint32_t, uint32_t>> named_;  // (text, clause), until finish()
  std::vector<uint32_t> ignoring_;
  std::vector<uint64_t> any_;
  std::vector<uint32_t> starts_, clauses_;
  bool looked_at_ = false;
};

struct RuleConfig {
  Level level = Level::kNone;
  uint8_t omitted_stages = 0;  // bit s: Stage s
  bool omit_managed_fields = false;
};

enum DimensionIndex : size_t { kUser, kGroup, kVerb, kNamespace, kApiGroup, kResource, kName, kPath, kDimensions };

// A policy's lists one after the other: numbers say how long each list is, sizes how long each text, and texts hold
// them all. See kaudit_core.matcher.compiler, which writes it.
struct PolicySource {
  const uint32_t* numbers;
  size_t number_count;
  const uint32_t* sizes;
  size_t size_count;
  string_view texts;
};

class Rules {
 public:
  explicit Rules(const PolicySource& source) : texts_(source.texts), source_(source) {
    const uint32_t rules = number();
    names_replacement_ = number() != 0;
    configs_.reserve(rules + 1);
    const RuleConfig none = config();
    for (uint32_t rule = 0; rule < rules; ++rule) add_rule(rule);
    configs_.push_back(none);
    words_ = (rule_of_.size() + kRowBits - 1) / kRowBits * (kRowBits / 64);
    for (Dimension& dimension : dimensions_) dimension.finish(words_, rule_of_.size());
    finish_prefixes();
    assert(next_number_ == source.number_count && next_size_ == source.size_count && next_text_ == texts_.size());
    source_ = {};
  }
  Rules(const Rules&) = delete;
  Rules& operator=(const Rules&) = delete;

  static constexpr size_t kRowBits = 256;  // rows are whole vectors long

  size_t count() const { return configs_.size() - 1; }
  size_t words() const { return words_; }
  bool names_replacement() const { return names_replacement_; }
  const RuleConfig& config(size_t rule) const { return configs_[rule]; }  // count(): no rule matches (M1)
  size_t rule_of(size_t clause) const { return rule_of_[clause]; }
  const Dimension& dimension(size_t index) const { return dimensions_[index]; }
  const Interning& prefixes() const { return prefixes_; }
  const std::vector<size_t>& prefix_sizes() const { return prefix_sizes_; }
  const std::vector<uint32_t>& clauses_of_prefix(uint32_t prefix) const { return prefix_clauses_[prefix - 1]; }
  // Which clauses can match a resource request: bit rows like a dimension's.
  const uint64_t* resource_clauses() const { return resource_clauses_.data(); }

 private:
  uint32_t number() {
    assert(next_number_ < source_.number_count);
    return source_.numbers[next_number_++];
  }

  string_view text() {
    const size_t size = source_.sizes[next_size_++];
    const string_view found = string_view(texts_).substr(next_text_, size);
    next_text_ += size;
    return found;
  }

  std::vector<string_view> list() {
    std::vector<string_view> texts(number());
    for (string_view& one : texts) one = text();
    return texts;
  }

  struct Clause {
    std::vector<string_view> users, groups, verbs, namespaces, urls, resources, names;
    string_view api_group;
    bool has_entry = false;
  };

  RuleConfig config() {
    RuleConfig config;
    config.level = static_cast<Level>(number());
    config.omitted_stages = static_cast<uint8_t>(number());
    config.omit_managed_fields = number() != 0;
    return config;
  }

  void add_rule(uint32_t rule) {
    configs_.push_back(config());
    Clause clause;
    for (auto* texts : {&clause.users, &clause.groups, &clause.verbs, &clause.namespaces, &clause.urls})
      *texts = list();
    const uint32_t entries = number();
    if (entries == 0) add_clause(rule, clause);
    for (uint32_t entry = 0; entry < entries; ++entry) {
      clause.has_entry = true;
      clause.api_group = text();
      clause.resources = list();
      clause.names = list();
      add_clause(rule, clause);
    }
  }

  void add_clause(uint32_t rule, const Clause& clause) {
    const uint32_t id = static_cast<uint32_t>(rule_of_.size());
    rule_of_.push_back(rule);
    look_at(kUser, id, clause.users);
    look_at(kGroup, id, clause.groups);
    look_at(kVerb, id, clause.verbs);
    look_at(kNamespace, id, clause.namespaces);
    const bool any_group = !clause.has_entry || clause.api_group == "*";
    any_group ? dimensions_[kApiGroup].ignore(id) : dimensions_[kApiGroup].name(id, clause.api_group);
    bool any_resource = clause.resources.empty();
    for (const string_view pattern : clause.resources) any_resource |= pattern == "*";
    any_resource ? dimensions_[kResource].ignore(id) : look_at(kResource, id, clause.resources);
    // Without resources the names are not looked at (M7).
    clause.resources.empty() ? dimensions_[kName].ignore(id) : look_at(kName, id, clause.names);
    add_kind(id, clause);
  }

  // Resource requests, non-resource requests or both (M4).
  void add_kind(uint32_t id, const Clause& clause) {
    const bool only_resources = clause.has_entry || !clause.namespaces.empty();
    if (resource_clauses_.size() * 64 <= id) resource_clauses_.resize(resource_clauses_.size() + kRowBits / 64);
    if (only_resources || clause.urls.empty()) resource_clauses_[id / 64] |= uint64_t{1} << (id % 64);
    if (only_resources) return;
    bool any = clause.urls.empty();
    for (const string_view url : clause.urls) any |= url == "*";
    if (any) return dimensions_[kPath].ignore(id);
    for (const string_view url : clause.urls) {
      dimensions_[kPath].name(id, url);
      if (url.empty() || url.back() != '*') continue;
      const uint32_t prefix = prefixes_.intern(url.substr(0, url.find_last_not_of('*') + 1));
      if (prefix > prefix_clauses_.size()) prefix_clauses_.emplace_back();
      prefix_clauses_[prefix - 1].push_back(id);
      prefix_sizes_.push_back(url.find_last_not_of('*') + 1);
    }
  }

  void look_at(DimensionIndex index, uint32_t clause, const std::vector<string_view>& texts) {
    if (texts.empty()) dimensions_[index].ignore(clause);
    for (const string_view one : texts) dimensions_[index].name(clause, one);
  }

  void finish_prefixes() {
    std::vector<size_t> sizes;
    for (const size_t size : prefix_sizes_) {
      bool known = false;
      for (const size_t other : sizes) known |= other == size;
      if (!known) sizes.push_back(size);
    }
    prefix_sizes_.swap(sizes);
    resource_clauses_.resize(words_, 0);
  }

  std::string texts_;
  PolicySource source_;
  size_t next_number_ = 0, next_size_ = 0, next_text_ = 0;
  bool names_replacement_ = false;
  size_t words_ = 0;
  std::vector<RuleConfig> configs_;
  std::vector<size_t> rule_of_;
  Dimension dimensions_[kDimensions];
  std::vector<uint64_t> resource_clauses_;
  Interning prefixes_;
  std::vector<size_t> prefix_sizes_;  // distinct lengths
  std::vector<std::vector<uint32_t>> prefix_clauses_;
};

}  // namespace kaudit
