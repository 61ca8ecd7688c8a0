// Request info: from a logged URI and verb to the attributes that the policy
// judged.
//
// Purpose:    an event is not the request: all but the user is rebuilt from
// requestURI, as the server built it. Layout:     the path is split at its
// slashes into at most nine parts; texts stay where they are in the line, or in
//             the scratch memory of the worker when something had to be
//             decoded.
// Invariants: resolve() is true only where
// events.attributes.attributes_for_verb gives exactly these attributes (for
//             the path "/" also those with path ""). Escapes of JSON other than
//             \u0026, \u003c and \u003e, URIs without a leading slash, paths
//             that do not decode to UTF-8: false, and the reference looks at
//             the event.
// Cost:       about 60 ns; the query is read only for lists and watches.
//
// Mirrors k8s.io/apiserver pkg/endpoints/request/requestinfo.go with the
// prefixes api (groupless) and apis (A1-A6).
#pragma once

#include <cstddef>
#include <string>

#include "event.hpp"
#include "path.hpp"
#include "query.hpp"
#include "text.hpp"
#include "utf8.hpp"

namespace kaudit {

struct Attributes {
  bool has_user = false;
  bool resource_request = false;
  size_t group_count = 0;
  const string_view* groups = nullptr;
  string_view user, verb, name_space, api_group, api_version, resource, subresource, name, path;
};

class RequestInfo {
 public:
  // The attributes of an event; they live until the next call, and as long as
  // the event.
  bool resolve(const Event& event, Attributes& attributes) {
    attributes.has_user = event.has_user;
    attributes.user = event.user;
    attributes.groups = event.groups;
    attributes.group_count = event.group_count;
    return resolve(event.verb, event.uri, event.uri_escaped, attributes);
  }

  bool resolve(string_view verb, string_view uri, bool escaped, Attributes& attributes) {
    string_view query;
    if (!split(uri, escaped, attributes.path, query)) return false;
    attributes.verb = verb;
    if (!locate(attributes)) return false;
    if (!attributes.resource_request) return is_plain_method(verb);
    return judge_verb(attributes, query, escaped);
  }

 private:
  static constexpr size_t kMostParts = 9;  // apis GROUP VERSION watch namespaces
                                           // NAMESPACE RESOURCE NAME SUBRESOURCE

  bool split(string_view uri, bool escaped, string_view& path, string_view& query) {
    if (uri.empty() || uri.front() != '/' || (escaped && !only_html_escapes(uri))) return false;
    is_marked_ = mark(uri, marks_);
    if (is_marked_) {
      path = uri.substr(0, marks_.path_size);
      query = path.size() == uri.size() ? string_view() : uri.substr(path.size() + 1);
      return true;
    }
    if (std::memchr(uri.data(), 0x7f, uri.size()) != nullptr) return false;
    const auto* question = static_cast<const char*>(std::memchr(uri.data(), '?', uri.size()));
    path = question == nullptr ? uri : uri.substr(0, static_cast<size_t>(question - uri.data()));
    query = question == nullptr ? string_view() : uri.substr(path.size() + 1);
    if (escaped && path.find('\\') != string_view::npos) path = without_escapes(path, path_);
    return path.find('%') == string_view::npos || decode_path(path);
  }

  // Go writes & < > so; they stand in almost every watch.
  static bool only_html_escapes(string_view text) {
    for (size_t at = text.find('\\'); at != string_view::npos; at = text.find('\\', at + 6)) {
      const char* const digits = text.data() + at + 2;
      if (at + 6 > text.size() || text[at + 1] != 'u' || digits[0] != '0' || digits[1] != '0') return false;
      const int code = hex_value(digits[2]) * 16 + hex_value(digits[3]);
      if (code != '&' && code != '<' && code != '>') return false;
    }
    return true;
  }

  static string_view without_escapes(string_view text, std::string& into) {
    into.clear();
    for (;;) {
      const size_t slash = text.find('\\');
      into.append(text.substr(0, slash));
      if (slash == string_view::npos) return into;
      into.push_back(static_cast<char>(hex_value(text[slash + 4]) * 16 + hex_value(text[slash + 5])));
      text.remove_prefix(slash + 6);
    }
  }

  bool decode_path(string_view& path) {
    decoded_.clear();
    for (size_t i = 0; i < path.size(); ++i) {
      if (path[i] != '%') {
        decoded_.push_back(path[i]);
        continue;
      }
      if (i + 2 >= path.size() || !is_hex(path[i + 1]) || !is_hex(path[i + 2])) return false;
      decoded_.push_back(static_cast<char>(hex_value(path[i + 1]) * 16 + hex_value(path[i + 2])));
      i += 2;
    }
    path = decoded_;
    return is_utf8(path);
  }

  // The same as parts_of, for a path of which the slashes are known; it begins
  // with one.
  size_t marked_parts(string_view path, string_view (&parts)[kMostParts]) const {
    size_t count = 0, from = 1;
    for (size_t word = 0; word < 2; ++word) {
      for (uint64_t left = marks_.slashes[word] & ~uint64_t{word == 0}; left != 0; left &= left - 1) {
        const size_t slash = word * 64 + static_cast<size_t>(__builtin_ctzll(left));
        parts[count++] = string_view(path.data() + from, slash - from);
        if (count == kMostParts) return count;
        from = slash + 1;
      }
    }
    parts[count] = string_view(path.data() + from, path.size() - from);
    return count + 1;
  }

  // The parts between slashes of the path, those around it taken off; empty
  // ones in between count.
  static size_t parts_of(string_view path, string_view (&parts)[kMostParts]) {
    const size_t begin = path.find_first_not_of('/');
    if (begin == string_view::npos) return 0;
    path = path.substr(begin, path.find_last_not_of('/') + 1 - begin);
    size_t count = 0, from = 0;
    while (count < kMostParts) {
      const size_t slash = path.find('/', from);
      parts[count++] = path.substr(from, slash - from);
      if (slash == string_view::npos) break;
      from = slash + 1;
    }
    return count;
  }

  // Where the path leads. False: the server answers 500 before it audits, so
  // nobody knows what this event is.
  bool locate(Attributes& attributes) {
    string_view parts[kMostParts];
    const string_view path = attributes.path;
    const bool clear = is_marked_ && path.size() > 1 && path[1] != '/' && path.back() != '/';
    const size_t count = clear ? marked_parts(path, parts) : parts_of(path, parts);
    attributes.resource_request = false;
    attributes.name_space = attributes.api_group = attributes.api_version = {};
    attributes.resource = attributes.subresource = attributes.name = special_verb_ = {};
    const bool grouped = count > 0 && parts[0] == "apis";
    if (!grouped && (count == 0 || parts[0] != "api")) return true;
    size_t next = 1;
    if (grouped && count > 1) attributes.api_group = parts[next++];
    if (count < next + 2) return attributes.api_group = {},
                                 true;  // A2: a version and a resource at least
    attributes.api_version = parts[next++];
    if (parts[next] == "watch" || parts[next] == "proxy") {
      special_verb_ = parts[next++];
      if (next == count) return false;
    }
    if (parts[next] == "namespaces" && count - next > 1) {
      attributes.name_space = parts[next + 1];
      // A5: a namespace's own subresources, in any group; all else below a
      // namespace is a namespaced resource.
      if (count - next > 2 && parts[next + 2] != "status" && parts[next + 2] != "finalize") next += 2;
    }
    attributes.resource_request = true;
    attributes.resource = parts[next];
    if (count - next > 1) attributes.name = parts[next + 1];
    if (count - next > 2 && special_verb_ != "proxy") attributes.subresource = parts[next + 2];
    return true;
  }

  // Whether some method gives the verb on this resource; for lists and watches
  // the query has its say.
  bool judge_verb(Attributes& attributes, string_view query, bool escaped) {
    const string_view verb = attributes.verb;
    if (!special_verb_.empty()) return verb == special_verb_;
    if (verb == "create" || verb == "update" || verb == "patch" || verb.empty()) return true;
    const bool named = !attributes.name.empty();
    if (verb == "get" || verb == "delete") return named;
    if (verb == "deletecollection") return !named;
    if (named || (verb != "list" && verb != "watch")) return false;
    if (escaped && query.find('\\') != string_view::npos) query = without_escapes(query, query_);
    ListOptions options;
    if (!ListQuery(selector_).read(query, options) || options.watch != (verb == "watch")) return false;
    attributes.name = options.name;
    return true;
  }

  // A method in lower case, of letters only. Other tokens are possible, and are
  // left to the reference.
  static bool is_plain_method(string_view verb) {
    for (const char c : verb) {
      if (c < 'a' || c > 'z') return false;
    }
    return !verb.empty();
  }

  std::string path_, decoded_, query_;
  Decoded selector_;
  string_view special_verb_;
  UriMarks marks_ = {};
  bool is_marked_ = false;
};

}  // namespace kaudit
