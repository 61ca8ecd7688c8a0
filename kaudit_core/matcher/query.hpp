// Query: what the list options of a request without a name decide: is it a watch, and which name does it select?
//
// Purpose:    tells list from watch and finds the name of `metadata.name=x`, without which rules with resourceNames
//             can't be judged (semantics A3, A4).
// Layout:     one pass over the raw query; only five parameters are looked at, the first of each.
// Invariants: list_options is true only where events.attributes gives the same answer. Queries with anything unusual
//             (broken numbers, escapes in selectors, several required names) are refused and left to the reference.
// Cost:       about 1 ns a byte of the query; no allocation.
//
// Mirrors Go's url.ParseQuery and k8s.io/apiserver pkg/endpoints/request/requestinfo.go with the selector grammars of
// k8s.io/apimachinery pkg/labels and pkg/fields.
#pragma once

#include <cstddef>
#include <cstring>

#include "text.hpp"

namespace kaudit {

constexpr size_t kMostParameters = 10000;  // Go decodes a query of more to nothing
constexpr size_t kLongestValue = 512;      // a longer value is left to the reference

struct ListOptions {
  bool watch = false;
  string_view name;  // in the scratch text
};

inline int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  return is_hex(c) ? (c | 0x20) - 'a' + 10 : -1;
}

// A decoded value, at most kLongestValue bytes.
struct Decoded {
  char bytes[kLongestValue];
  size_t size = 0;

  string_view text() const { return {bytes, size}; }

  // Percent escapes and plus signs. False when it is too long; a broken escape has been looked for before.
  bool set(string_view raw) {
    size = 0;
    for (size_t i = 0; i < raw.size(); ++i) {
      if (size == kLongestValue) return false;
      char c = raw[i] == '+' ? ' ' : raw[i];
      if (c == '%') {
        c = static_cast<char>(hex_value(raw[i + 1]) * 16 + hex_value(raw[i + 2]));
        i += 2;
      }
      bytes[size++] = c;
    }
    return true;
  }
};

// Go drops parameters with a semicolon or a broken escape.
inline bool parameter_counts(string_view raw) {
  for (size_t i = 0; i < raw.size(); ++i) {
    if (raw[i] == ';') return false;
    if (raw[i] == '%' && (i + 2 >= raw.size() || !is_hex(raw[i + 1]) || !is_hex(raw[i + 2]))) return false;
  }
  return true;
}

inline bool is_alphanumeric(char c) { return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z'); }

// A label's name or value: alphanumeric at both ends, dots, dashes and underscores between.
inline bool is_label_name(string_view text) {
  if (text.empty() || text.size() > 63 || !is_alphanumeric(text.front()) || !is_alphanumeric(text.back())) return false;
  for (const char c : text) {
    if (!is_alphanumeric(c) && c != '-' && c != '_' && c != '.') return false;
  }
  return true;
}

// Labels of lower-case letters, digits and dashes, joined by dots.
inline bool is_dns_subdomain(string_view text) {
  if (text.empty() || text.size() > 253) return false;
  char before = '.';
  for (const char c : text) {
    const bool inner = is_digit(c) || (c >= 'a' && c <= 'z');
    if (!inner && !(c == '-' && before != '.') && !(c == '.' && before != '.' && before != '-')) return false;
    before = c;
  }
  return before != '.' && before != '-';
}

inline bool is_label_key(string_view key) {
  const size_t slash = key.rfind('/');
  if (slash == string_view::npos) return is_label_name(key);
  return is_dns_subdomain(key.substr(0, slash)) && is_label_name(key.substr(slash + 1));
}

// Cuts the list "(a, b)" off the front: values with commas between them, as clients write them.
inline bool take_plain_values(string_view& text) {
  if (text.empty() || text.front() != '(') return false;
  const size_t end = text.find(')');
  if (end == string_view::npos) return false;
  string_view values = text.substr(1, end - 1);
  text.remove_prefix(end + 1);
  for (;;) {
    const size_t comma = values.find(',');
    if (!is_label_name(values.substr(0, comma))) return false;
    if (comma == string_view::npos) return true;
    values.remove_prefix(comma + 1);
  }
}

// Cuts one requirement off the front: `key`, `!key`, `key=value`, `key==value`, `key!=value`, `key in (a,b)`,
// `key notin (a,b)`, spaced just so: the forms that clients write.
inline bool take_plain_requirement(string_view& text) {
  const bool negated = !text.empty() && text.front() == '!';
  if (negated) text.remove_prefix(1);
  const size_t key_end = text.find_first_of("!=, ");
  const string_view key = text.substr(0, key_end);
  text.remove_prefix(key.size());
  if (!is_label_key(key)) return false;
  if (negated || text.empty() || text.front() == ',') return text.empty() || text.front() == ',';
  for (const string_view set : {string_view(" in "), string_view(" notin ")}) {
    if (text.substr(0, set.size()) != set) continue;
    text.remove_prefix(set.size());
    return take_plain_values(text);
  }
  for (const string_view sign : {string_view("!="), string_view("=="), string_view("=")}) {
    if (text.substr(0, sign.size()) != sign) continue;
    text.remove_prefix(sign.size());
    const string_view value = text.substr(0, text.find(','));
    text.remove_prefix(value.size());
    return value.empty() || is_label_name(value);
  }
  return false;
}

inline bool is_plain_label_selector(string_view selector) {
  while (!selector.empty()) {
    if (!take_plain_requirement(selector)) return false;
    if (selector.empty()) break;
    if (selector.front() != ',' || selector.size() == 1) return false;
    selector.remove_prefix(1);
  }
  return true;
}

// The name that a field selector requires, "" when none. False for what is not plain.
inline bool selected_name(string_view selector, string_view& name) {
  bool found = false;
  name = {};
  if (selector.find('\\') != string_view::npos) return false;
  while (!selector.empty()) {
    const size_t comma = selector.find(',');
    const string_view term = selector.substr(0, comma);
    selector.remove_prefix(comma == string_view::npos ? selector.size() : comma + 1);
    if (term.empty()) continue;
    const size_t sign = term.find('=');
    if (sign == string_view::npos) return false;
    const size_t unequal = term.find("!=");
    const bool differs = unequal != string_view::npos && unequal < sign;
    string_view value = term.substr(sign + 1);
    if (!differs && !value.empty() && value.front() == '=') value.remove_prefix(1);
    if (value.find('=') != string_view::npos) return false;
    if (differs || term.substr(0, sign) != "metadata.name") continue;
    if (found) return false;
    found = true;
    name = value;
  }
  if (name == "." || name == ".." || name.find_first_of("/%") != string_view::npos) name = {};
  return true;
}

// At most 18 digits: a 64-bit integer for sure. Other forms may be one too: left to the reference.
inline bool is_plain_integer(string_view text) {
  if (text.empty() || text.size() > 18) return false;
  for (const char c : text) {
    if (!is_digit(c)) return false;
  }
  return true;
}

inline bool is_false(string_view value) {
  if (value == "0") return true;
  constexpr char kFalse[] = "false";
  if (value.size() != sizeof kFalse - 1) return false;
  for (size_t i = 0; i < value.size(); ++i) {
    if ((value[i] | 0x20) != kFalse[i]) return false;
  }
  return true;
}

inline bool is_ascii(string_view text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) >= 0x80) return false;
  }
  return true;
}

// The options of one query, the first of each name.
class ListQuery {
 public:
  explicit ListQuery(Decoded& scratch) : scratch_(scratch) {}

  bool read(string_view query, ListOptions& options) {
    size_t count = 0;
    for (bool more = true; more; ++count) {
      const size_t end = query.find('&');
      more = end != string_view::npos;
      const string_view parameter = query.substr(0, end);
      if (more) query.remove_prefix(end + 1);
      if (!parameter.empty() && parameter_counts(parameter) && !take(parameter, options)) return false;
    }
    return count <= kMostParameters && name_of(options);
  }

 private:
  bool take(string_view parameter, ListOptions& options) {
    const size_t equals = parameter.find('=');
    const string_view raw = equals == string_view::npos ? string_view() : parameter.substr(equals + 1);
    string_view name = parameter.substr(0, equals);
    if (name.find_first_of("%+") != string_view::npos) return false;  // an escaped name: nobody writes one
    if (name == "watch") return first(0) || watch(raw, options);
    if (name == "timeoutSeconds") return first(1) || is_plain_integer(raw);
    if (name == "limit") return first(2) || is_plain_integer(raw);
    if (name == "labelSelector") return first(3) || (value_.set(raw) && is_plain_label_selector(value_.text()));
    if (name == "fieldSelector") return first(4) || (selects_ = true, scratch_.set(raw));
    return true;
  }

  // False for the first parameter of its name; those behind it do not count.
  bool first(int index) {
    const unsigned bit = 1u << index;
    const bool known = (known_ & bit) != 0;
    known_ |= bit;
    return known;
  }

  bool watch(string_view raw, ListOptions& options) {
    if (!value_.set(raw) || !is_ascii(value_.text())) return false;
    options.watch = !is_false(value_.text());
    return true;
  }

  bool name_of(ListOptions& options) {
    return !selects_ || (is_ascii(scratch_.text()) && selected_name(scratch_.text(), options.name));
  }

  Decoded& scratch_;
  Decoded value_;
  unsigned known_ = 0;
  bool selects_ = false;
};

}  // namespace kaudit
