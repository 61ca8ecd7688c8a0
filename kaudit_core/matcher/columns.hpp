// Columns: the fields of the records that were judged natively, as Arrow lays them out.
//
// Purpose:    other programs (search, detection, DuckDB) get events without an object for each.
// Layout:     one vector a column; texts as offsets and bytes, groups as a list of texts. buffer(i) gives them in the
//             order that kaudit_core.matcher.scan reads: numbers first, then two buffers a text, then three for groups.
// Invariants: all columns have rows() rows. Texts are decoded: escapes are gone, a lone surrogate is U+FFFD, so every
//             text is UTF-8. Offsets are 32 bits: a block and its texts are far smaller than 2 GiB.
// Cost:       one copy of every text.
//
// Mirrors what events.json_text makes of the same strings.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "event.hpp"
#include "query.hpp"
#include "text.hpp"

namespace kaudit {

inline uint32_t code_unit(const char* digits) {
  uint32_t unit = 0;
  for (int i = 0; i < 4; ++i) unit = unit * 16 + static_cast<uint32_t>(hex_value(digits[i]));
  return unit;
}

inline void append_utf8(std::vector<char>& bytes, uint32_t code) {
  const auto put = [&bytes](uint32_t byte) { bytes.push_back(static_cast<char>(byte)); };
  if (code < 0x80) return put(code);
  if (code < 0x800) {
    put(0xc0 | code >> 6);
  } else {
    if (code < 0x10000) {
      put(0xe0 | code >> 12);
    } else {
      put(0xf0 | code >> 18);
      put(0x80 | (code >> 12 & 0x3f));
    }
    put(0x80 | (code >> 6 & 0x3f));
  }
  put(0x80 | (code & 0x3f));
}

// Appends the character that the escape at `at` stands for; returns what is behind it.
inline const char* append_escaped(std::vector<char>& bytes, const char* at, const char* end) {
  constexpr char kShort[] = "b\bf\fn\nr\rt\t";
  if (at[1] != 'u') {
    char meant = at[1];
    for (size_t i = 0; i + 1 < sizeof kShort; i += 2) {
      if (kShort[i] == at[1]) meant = kShort[i + 1];
    }
    bytes.push_back(meant);
    return at + 2;
  }
  uint32_t code = code_unit(at + 2);
  at += 6;
  if (code >= 0xd800 && code < 0xdc00 && end - at >= 6 && at[0] == '\\' && at[1] == 'u') {
    const uint32_t low = code_unit(at + 2);
    if (low >= 0xdc00 && low < 0xe000) {
      append_utf8(bytes, 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00));
      return at + 6;
    }
  }
  if (code >= 0xd800 && code < 0xe000) code = 0xfffd;
  append_utf8(bytes, code);
  return at;
}

struct TextColumn {
  std::vector<int32_t> ends{0};
  std::vector<char> bytes;

  void add(string_view raw) {
    const char *at = raw.data(), *const end = at + raw.size();
    while (at < end) {
      const auto* slash = static_cast<const char*>(std::memchr(at, '\\', static_cast<size_t>(end - at)));
      const char* const stop = slash == nullptr ? end : slash;
      bytes.insert(bytes.end(), at, stop);
      at = slash == nullptr ? end : append_escaped(bytes, slash, end);
    }
    ends.push_back(static_cast<int32_t>(bytes.size()));
  }
};

class Columns {
 public:
  static constexpr size_t kTexts = 12, kNumbers = 8;
  static constexpr size_t kBuffers = kNumbers + 2 * kTexts + 3;

  void clear() { *this = Columns(); }

  void add(const Event& event, uint64_t offset, uint64_t size, uint64_t line, size_t rule, uint8_t findings) {
    offsets_.push_back(offset);
    sizes_.push_back(size);
    lines_.push_back(line);
    rules_.push_back(static_cast<int32_t>(rule));
    codes_.push_back(event.code);
    levels_.push_back(static_cast<uint8_t>(event.level));
    stages_.push_back(static_cast<uint8_t>(event.stage));
    findings_.push_back(findings);
    const ObjectReference reference = event.has_reference ? event.reference : ObjectReference();
    const string_view texts[kTexts] = {
        event.audit_id,   event.verb,           event.uri,           event.user,         event.source_ip,
        event.user_agent, reference.name_space, reference.api_group, reference.resource, reference.subresource,
        reference.name,   event.received};
    for (size_t i = 0; i < kTexts; ++i) texts_[i].add(texts[i]);
    for (size_t i = 0; i < event.group_count; ++i) groups_.add(event.groups[i]);
    group_ends_.push_back(static_cast<int32_t>(groups_.ends.size() - 1));
  }

  size_t rows() const { return offsets_.size(); }

  string_view buffer(size_t index) const {
    if (index >= kNumbers + 2 * kTexts) return of_groups(index - kNumbers - 2 * kTexts);
    if (index >= kNumbers) {
      const TextColumn& column = texts_[(index - kNumbers) / 2];
      return (index - kNumbers) % 2 == 0 ? view(column.ends) : view(column.bytes);
    }
    const string_view numbers[kNumbers] = {view(offsets_), view(sizes_),  view(lines_),  view(rules_),
                                           view(codes_),   view(levels_), view(stages_), view(findings_)};
    return numbers[index];
  }

 private:
  template <class T>
  static string_view view(const std::vector<T>& values) {
    return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
  }

  string_view of_groups(size_t index) const {
    if (index == 0) return view(group_ends_);
    return index == 1 ? view(groups_.ends) : view(groups_.bytes);
  }

  std::vector<uint64_t> offsets_, sizes_, lines_;
  std::vector<int32_t> rules_;
  std::vector<int64_t> codes_;
  std::vector<uint8_t> levels_, stages_, findings_;
  TextColumn texts_[kTexts];
  std::vector<int32_t> group_ends_{0};
  TextColumn groups_;
};

}  // namespace kaudit
