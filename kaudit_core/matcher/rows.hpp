// Rows: the bit rows of one worker, and the first clause that all dimensions allow.
//
// Purpose:    answers "which rule decides this request" by anding one row for each dimension that any rule looks at.
// Layout:     a row has one bit a clause. A dimension's row for a text is the row of the clauses that do not look, plus
//             those that name the text; it is made when the text first comes up, and kept.
// Invariants: a row that is handed out stays valid until the next match(). Memory is bounded: when the rows made exceed
//             kMostWords all are forgotten, so texts that clients choose can't fill it (they only name policy texts;
//             paths and resources are kept in a table of fixed size).
// Cost:       5-7 look-ups of about 8 ns, plus 2 ns for 256 clauses.
//
// Mirrors policy.evaluator.first_mismatch; a request without a user has only the rows of clauses that look at no user.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "request_info.hpp"
#include "rules.hpp"
#include "text.hpp"

namespace kaudit {

class Rows {
 public:
  explicit Rows(const Rules& rules) : rules_(rules), groups_(rules.words()), known_(kKnown) {
    for (size_t i = 0; i < kDimensions; ++i) made_[i].assign(rules.dimension(i).size() + 1, nullptr);
    forget();
  }
  Rows(const Rows&) = delete;
  Rows& operator=(const Rows&) = delete;

  // The index of the first rule that matches; the number of rules when none does.
  size_t match(const Attributes& request) {
    if (used_words_ > kMostWords) forget();
    used_ = 0;
    if (request.has_user) {
      use(kUser, request.user);
      use_groups(request);
    } else {
      use_any(kUser);
      use_any(kGroup);
    }
    use(kVerb, request.verb);
    if (request.resource_request) {
      rows_[used_++] = rules_.resource_clauses();
      use(kNamespace, request.name_space);
      use(kApiGroup, request.api_group);
      use(kName, request.name);
      use_resource(request.resource, request.subresource);
    } else {
      rows_[used_++] = path_row(request.path);
    }
    return first();
  }

 private:
  static constexpr size_t kMostWords = size_t{1} << 20;  // 8 MiB
  static constexpr size_t kKnown = 1024;
  static constexpr size_t kLongestKnown = 104;

  // A row that is not one text's, kept under what it was made for.
  struct Known {
    uint64_t hash = 0;
    const uint64_t* row = nullptr;
    uint32_t size = 0;
    char text[kLongestKnown];
  };

  using Vector __attribute__((vector_size(32), aligned(8), may_alias)) = uint64_t;

  void use_any(DimensionIndex index) {
    if (rules_.dimension(index).looked_at()) rows_[used_++] = rules_.dimension(index).any();
  }

  void use(DimensionIndex index, string_view text) {
    const Dimension& dimension = rules_.dimension(index);
    if (dimension.looked_at()) rows_[used_++] = row(index, dimension.find(text));
  }

  const uint64_t* row(DimensionIndex index, uint32_t text) {
    const Dimension& dimension = rules_.dimension(index);
    if (text == 0) return dimension.any();
    const uint64_t*& made = made_[index][text];
    if (made == nullptr) {
      uint64_t* const fresh = copy_of(dimension.any());
      add(fresh, dimension, text);
      made = fresh;
    }
    return made;
  }

  void use_groups(const Attributes& request) {
    const Dimension& dimension = rules_.dimension(kGroup);
    if (!dimension.looked_at()) return;
    uint32_t found = 0;
    bool several = false;
    for (size_t i = 0; i < request.group_count; ++i) {
      const uint32_t group = dimension.find(request.groups[i]);
      if (group == 0 || group == found) continue;
      if (found == 0) {
        found = group;
        continue;
      }
      if (!several) std::memcpy(groups_.data(), row(kGroup, found), rules_.words() * sizeof(uint64_t));
      several = true;
      add(groups_.data(), dimension, group);
    }
    rows_[used_++] = several ? groups_.data() : row(kGroup, found);
  }

  // Patterns (M8): the resource, "*/subresource" and "resource/*", which also takes the plain resource.
  void use_resource(string_view resource, string_view subresource) {
    const Dimension& dimension = rules_.dimension(kResource);
    if (!dimension.looked_at()) return;
    char text[kLongestKnown];
    const size_t size = resource.size() + subresource.size() + 2;
    if (size > kLongestKnown) return use_long_resource(resource, subresource);
    copy(resource, text);
    copy(subresource, text + resource.size());
    text[size - 2] = static_cast<char>(resource.size());  // where one ends and the other begins
    text[size - 1] = 'r';                                 // no path's key ends so
    const string_view key(text, size);
    Known& known = slot(key);
    if (known.row == nullptr) known.row = resource_row(resource, subresource);
    rows_[used_++] = known.row;
  }

  void use_long_resource(string_view resource, string_view subresource) {
    rows_[used_++] = resource_row(resource, subresource);
  }

  const uint64_t* resource_row(string_view resource, string_view subresource) {
    const Dimension& dimension = rules_.dimension(kResource);
    pattern_.assign(resource);
    if (!subresource.empty()) pattern_.append("/").append(subresource);
    uint32_t found[3] = {dimension.find(pattern_), 0, 0};
    if (!subresource.empty()) found[1] = dimension.find(pattern_.assign("*/").append(subresource));
    found[2] = dimension.find(pattern_.assign(resource).append("/*"));
    return joined(dimension, found, 3);
  }

  const uint64_t* path_row(string_view path) {
    const Dimension& dimension = rules_.dimension(kPath);
    if (path.size() + 1 > kLongestKnown) return fresh_path_row(dimension, path);
    char text[kLongestKnown];
    copy(path, text);
    text[path.size()] = 'p';
    Known& known = slot(string_view(text, path.size() + 1));
    if (known.row == nullptr) known.row = fresh_path_row(dimension, path);
    return known.row;
  }

  const uint64_t* fresh_path_row(const Dimension& dimension, string_view path) {
    uint64_t* const made = copy_of(dimension.any());
    const uint32_t exact = dimension.find(path);
    if (exact != 0) add(made, dimension, exact);
    for (const size_t size : rules_.prefix_sizes()) {
      const uint32_t prefix = size <= path.size() ? rules_.prefixes().find(path.substr(0, size)) : 0;
      if (prefix == 0) continue;
      for (const uint32_t clause : rules_.clauses_of_prefix(prefix)) set(made, clause);
    }
    return made;
  }

  const uint64_t* joined(const Dimension& dimension, const uint32_t* texts, size_t count) {
    uint64_t* made = nullptr;
    for (size_t i = 0; i < count; ++i) {
      if (texts[i] == 0) continue;
      if (made == nullptr) made = copy_of(dimension.any());
      add(made, dimension, texts[i]);
    }
    return made == nullptr ? dimension.any() : made;
  }

  // The place for a text; its row is nullptr when the place held another one.
  Known& slot(string_view text) {
    const uint64_t hash = hash_of(text);
    Known& known = known_[hash % kKnown];
    if (known.hash != hash || known.size != text.size() || std::memcmp(known.text, text.data(), text.size()) != 0) {
      known.hash = hash;
      known.row = nullptr;
      known.size = static_cast<uint32_t>(text.size());
      copy(text, known.text);
    }
    return known;
  }

  static void set(uint64_t* made, uint32_t clause) { made[clause / 64] |= uint64_t{1} << (clause % 64); }

  static void add(uint64_t* made, const Dimension& dimension, uint32_t text) {
    for (const uint32_t* at = dimension.begin(text); at != dimension.end(text); ++at) set(made, *at);
  }

  uint64_t* copy_of(const uint64_t* model) {
    memory_.emplace_back(new uint64_t[rules_.words()]);
    used_words_ += rules_.words();
    std::memcpy(memory_.back().get(), model, rules_.words() * sizeof(uint64_t));
    return memory_.back().get();
  }

  void forget() {
    for (auto& made : made_) std::fill(made.begin(), made.end(), nullptr);
    for (Known& known : known_) known.row = nullptr;
    memory_.clear();
    used_words_ = 0;
  }

  size_t first() const {
    for (size_t word = 0; word < rules_.words(); word += Rules::kRowBits / 64) {
      Vector all;
      std::memcpy(&all, rows_[0] + word, sizeof all);
      for (size_t i = 1; i < used_; ++i) {
        Vector one;
        std::memcpy(&one, rows_[i] + word, sizeof one);
        all &= one;
      }
      for (size_t lane = 0; lane < Rules::kRowBits / 64; ++lane) {
        if (all[lane] != 0) {
          return rules_.rule_of((word + lane) * 64 + static_cast<size_t>(__builtin_ctzll(all[lane])));
        }
      }
    }
    return rules_.count();
  }

  const Rules& rules_;
  const uint64_t* rows_[kDimensions + 1];
  size_t used_ = 0;
  std::vector<const uint64_t*> made_[kDimensions];
  std::vector<uint64_t> groups_;
  std::vector<Known> known_;
  std::vector<std::unique_ptr<uint64_t[]>> memory_;
  size_t used_words_ = 0;
  std::string pattern_;
};

}  // namespace kaudit
