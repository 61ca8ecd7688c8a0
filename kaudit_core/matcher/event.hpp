// Event: one line of a log, read far enough to judge it.
//
// Purpose:    checks a whole line and finds the fields that the policy, the bodies' rules and the cross-check look at.
// Layout:     in_order() takes the fields as Go's encoding/json writes them: each key is one compare with a literal.
//             A line that is otherwise (another order, white space) goes to in_any_order(): the same fields, by name.
// Invariants: read_event is true only for a line that events.records gives as an event without invalid UTF-8 (that is
//             checked last, when a byte beyond ASCII was seen). Texts are undecoded parts of the line; those that
//             matter hold no escape, but for the URI. Anything else: false, and the reference judges the line.
// Cost:       about 0.2 ns a byte for metadata, less for bodies; no allocation.
//
// Mirrors k8s.io/apiserver pkg/apis/audit/v1 types.go (B18: the order of the fields) and events.event_shape.
#pragma once

#include <cstddef>
#include <cstdint>

#include "bodies.hpp"
#include "text.hpp"
#include "utf8.hpp"
#include "values.hpp"

namespace kaudit {

enum class Level : uint8_t { kNone, kMetadata, kRequest, kRequestResponse };
enum class Stage : uint8_t { kRequestReceived, kResponseStarted, kResponseComplete, kPanic };
constexpr size_t kLevels = 4, kStages = 4;
constexpr size_t kMostGroups = 64;

struct ObjectReference {
  string_view resource, name_space, name, uid, api_group, api_version, resource_version, subresource;
};

struct Event {
  Level level;
  Stage stage;
  bool uri_escaped, has_user, has_reference;  // no user: an empty object, or none
  bool request_body, response_body, request_managed, response_managed;
  size_t group_count;
  string_view audit_id, uri, verb, user, source_ip, user_agent, received;
  ObjectReference reference;  // if there is one
  int64_t code;
  string_view groups[kMostGroups];

  // For the next line. Only what counts where it is missing: clearing the groups would cost more than all else.
  void clear() {
    uri_escaped = has_user = has_reference = false;
    request_body = response_body = request_managed = response_managed = false;
    group_count = 0;
    audit_id = verb = user = source_ip = user_agent = received = {};
    code = 0;
  }
};

// Reads the fields of one line.
template <bool kSpaced>
class EventReader {
 public:
  EventReader(Event& event, Seen& seen) : event_(event), seen_(seen) {}

  // The line's object in the order of Go; `at` ends behind its last brace.
  bool in_order(const char*& at) {
    if (!take(at, "{\"kind\":\"Event\",\"apiVersion\":\"audit.k8s.io/v1\",")) {
      if (*at++ != '{') return false;  // items of a list have neither
    }
    if (!take(at, "\"level\":") || !level(at) || !take(at, ",\"auditID\":") || !plain(at, event_.audit_id))
      return false;
    if (!take(at, ",\"stage\":") || !stage(at) || !take(at, ",\"requestURI\":") || !uri(at)) return false;
    if (!take(at, ",\"verb\":") || !bare(at, event_.verb) || !take(at, ",\"user\":") || !user_in_order(at))
      return false;
    if (take(at, ",\"impersonatedUser\":") && !any_user(at)) return false;
    if (take(at, ",\"authenticationMetadata\":") && !strict_object(at)) return false;
    if (take(at, ",\"sourceIPs\":") && !source_ips(at)) return false;
    if (take(at, ",\"userAgent\":") && !plain(at, event_.user_agent)) return false;
    if (take(at, ",\"objectRef\":") && !reference_in_order(at)) return false;
    if (take(at, ",\"responseStatus\":") && !status_in_order(at)) return false;
    if (take(at, ",\"requestObject\":") && !request_body(at)) return false;
    if (take(at, ",\"responseObject\":") && !response_body(at)) return false;
    if (take(at, ",\"requestReceivedTimestamp\":") && !plain(at, event_.received)) return false;
    if (take(at, ",\"stageTimestamp\":") && !skip_string(at, seen_)) return false;
    if (take(at, ",\"annotations\":") && !skip_strings_object<kSpaced>(at, seen_)) return false;
    return *at++ == '}';
  }

  // The line's object, its fields in any order; what Go omits when it is empty may be missing.
  bool in_any_order(const char*& at) {
    const char* request_object = nullptr;
    unsigned needed = 0;
    const auto member = [&](string_view key, const char*& here) {
      if (key == "requestObject") return request_object = here, skip_any<kSpaced>(here, seen_);
      return field(key, here, needed);
    };
    if (!take_object<kSpaced>(at, seen_, member) || needed != 7) return false;
    return request_object == nullptr || request_body(request_object);  // only now the verb is known for sure
  }

 private:
  bool field(string_view key, const char*& at, unsigned& needed) {
    if (key == "kind") return take(at, "\"Event\"");
    if (key == "apiVersion") return take(at, "\"audit.k8s.io/v1\"");
    if (key == "level") return needed |= 1, level(at);
    if (key == "stage") return needed |= 2, stage(at);
    if (key == "requestURI") return needed |= 4, uri(at);
    if (key == "auditID") return plain(at, event_.audit_id);
    if (key == "verb") return bare(at, event_.verb);
    if (key == "user") return user(at);
    if (key == "impersonatedUser") return any_user(at);
    if (key == "authenticationMetadata") return strict_object(at);
    if (key == "sourceIPs") return source_ips(at);
    if (key == "userAgent") return plain(at, event_.user_agent);
    if (key == "objectRef") return reference(at);
    if (key == "responseStatus") return status(at);
    if (key == "responseObject") return response_body(at);
    if (key == "requestReceivedTimestamp") return plain(at, event_.received);
    if (key == "stageTimestamp") return skip_string(at, seen_);
    return key == "annotations" && skip_strings_object<kSpaced>(at, seen_);
  }

  bool level(const char*& at) {
    if (take(at, "\"Metadata\"")) return event_.level = Level::kMetadata, true;
    if (take(at, "\"RequestResponse\"")) return event_.level = Level::kRequestResponse, true;
    return event_.level = Level::kRequest, take(at, "\"Request\"");
  }

  bool stage(const char*& at) {
    if (take(at, "\"ResponseComplete\"")) return event_.stage = Stage::kResponseComplete, true;
    if (take(at, "\"RequestReceived\"")) return event_.stage = Stage::kRequestReceived, true;
    if (take(at, "\"ResponseStarted\"")) return event_.stage = Stage::kResponseStarted, true;
    return event_.stage = Stage::kPanic, take(at, "\"Panic\"");
  }

  // A string that is judged: one with an escape is not taken.
  bool bare(const char*& at, string_view& text) {
    Raw raw;
    if (!take_string(at, seen_, raw) || raw.escaped) return false;
    text = raw.text;
    return true;
  }

  // A string that is only shown.
  bool plain(const char*& at, string_view& text) {
    Raw raw;
    if (!take_string(at, seen_, raw)) return false;
    text = raw.text;
    return true;
  }

  bool uri(const char*& at) {
    Raw raw;
    if (!take_string(at, seen_, raw)) return false;
    event_.uri = raw.text;
    event_.uri_escaped = raw.escaped;
    return true;
  }

  // Members in the order of Go: each stands behind the brace at `open` or behind a comma, or is missing.
  template <size_t N>
  KAUDIT_INLINE static bool member(const char*& at, const char* open, const char (&key)[N]) {
    if ((*at != ',' && at != open) || !starts(at + 1, key)) return false;
    at += N;
    return true;
  }

  KAUDIT_INLINE static bool closed(const char*& at, const char* open) {
    if (at == open) ++at;  // no members
    return *at++ == '}';
  }

  bool user_in_order(const char*& at) {
    if (take(at, "{}")) return true;
    const char* const open = at;
    event_.has_user = *open == '{';
    if (!event_.has_user) return false;
    if (!member(at, open, "\"username\":") || !bare(at, event_.user) || event_.user.empty()) return false;
    if (member(at, open, "\"uid\":") && !skip_string(at, seen_)) return false;
    if (member(at, open, "\"groups\":") && !groups(at)) return false;
    if (member(at, open, "\"extra\":") && !skip_lists_object<kSpaced>(at, seen_)) return false;
    return closed(at, open);
  }

  bool reference_in_order(const char*& at) {
    ObjectReference& found = event_.reference;
    found = ObjectReference();
    const char* const open = at;
    event_.has_reference = *open == '{';
    if (!event_.has_reference) return false;
    if (member(at, open, "\"resource\":") && !bare(at, found.resource)) return false;
    if (member(at, open, "\"namespace\":") && !bare(at, found.name_space)) return false;
    if (member(at, open, "\"name\":") && !bare(at, found.name)) return false;
    if (member(at, open, "\"uid\":") && !bare(at, found.uid)) return false;
    if (member(at, open, "\"apiGroup\":") && !bare(at, found.api_group)) return false;
    if (member(at, open, "\"apiVersion\":") && !bare(at, found.api_version)) return false;
    if (member(at, open, "\"resourceVersion\":") && !bare(at, found.resource_version)) return false;
    if (member(at, open, "\"subresource\":") && !bare(at, found.subresource)) return false;
    return closed(at, open);
  }

  // Nearly always only a code.
  bool status_in_order(const char*& at) {
    const char* here = at;
    if (!take(here, "{\"metadata\":{},\"code\":") || !code(here) || *here != '}') return status(at);
    at = here + 1;
    return true;
  }

  bool user(const char*& at) {
    if (take(at, "{}")) return true;
    const auto member = [this](string_view key, const char*& here) {
      if (key == "username") return bare(here, event_.user);
      if (key == "groups") return groups(here);
      if (key == "uid") return skip_string(here, seen_);
      return key == "extra" && skip_lists_object<kSpaced>(here, seen_);
    };
    event_.has_user = true;
    return take_object<kSpaced>(at, seen_, member) && !event_.user.empty();
  }

  bool groups(const char*& at) {
    return take_list<kSpaced>(at, [this](const char*& here) {
      return event_.group_count < kMostGroups && bare(here, event_.groups[event_.group_count]) &&
             ++event_.group_count != 0;
    });
  }

  bool any_user(const char*& at) {
    return take_object<kSpaced>(at, seen_, [this](string_view key, const char*& here) {
      if (key == "username" || key == "uid") return skip_string(here, seen_);
      if (key == "groups") return skip_string_list<kSpaced>(here, seen_);
      return key == "extra" && skip_lists_object<kSpaced>(here, seen_);
    });
  }

  // The last address is the only one that a client can't choose (B14).
  bool source_ips(const char*& at) {
    return take_list<kSpaced>(at, [this](const char*& here) { return plain(here, event_.source_ip); });
  }

  bool reference(const char*& at) {
    event_.has_reference = true;
    ObjectReference& found = event_.reference;
    found = ObjectReference();
    return take_object<kSpaced>(at, seen_, [this, &found](string_view key, const char*& here) {
      if (key == "resource") return bare(here, found.resource);
      if (key == "namespace") return bare(here, found.name_space);
      if (key == "name") return bare(here, found.name);
      if (key == "uid") return bare(here, found.uid);
      if (key == "apiGroup") return bare(here, found.api_group);
      if (key == "apiVersion") return bare(here, found.api_version);
      if (key == "resourceVersion") return bare(here, found.resource_version);
      return key == "subresource" && bare(here, found.subresource);
    });
  }

  bool status(const char*& at) {
    return take_object<kSpaced>(at, seen_, [this](string_view key, const char*& here) {
      if (key == "code") return code(here);
      if (key == "status" || key == "message" || key == "reason") return skip_string(here, seen_);
      return skip_strict<kSpaced>(here, seen_);
    });
  }

  // A whole number that fits; 200.0 and the like are no codes, and the reference says so.
  bool code(const char*& at) {
    const char* const begin = at;
    int64_t value = 0;
    while (is_digit(*at) && at - begin < 10) value = value * 10 + (*at++ - '0');
    event_.code = value;
    if (at == begin || (*begin == '0' && at != begin + 1)) return false;
    return *at == ',' || *at == '}' || *at == ' ';
  }

  bool strict_object(const char*& at) { return *at == '{' && skip_strict<kSpaced>(at, seen_); }

  // A patch is logged as it was sent: any JSON, in which keys may repeat and managedFields may stand.
  bool request_body(const char*& at) {
    event_.request_body = true;
    if (starts(at, "null")) return false;
    if (event_.verb == "patch") return skip_any<kSpaced>(at, seen_);
    return BodyWalk<kSpaced>(seen_, event_.request_managed).take(at);
  }

  bool response_body(const char*& at) {
    event_.response_body = true;
    if (starts(at, "null")) return false;
    return BodyWalk<kSpaced>(seen_, event_.response_managed).take(at);
  }

  Event& event_;
  Seen& seen_;
};

// The newline that ends the line, when only white space stands before it; else nullptr.
inline const char* line_end(const char* at) {
  skip_space<true>(at);
  return *at == '\n' ? at : nullptr;
}

// Reads the line that begins at `begin`; returns the newline behind it, or nullptr. names_replacement: the policy holds
// U+FFFD, so text beyond ASCII needs the reference's care.
inline const char* read_event(const char* begin, bool names_replacement, Event& event) {
  Seen seen;
  event.clear();
  const char* at = begin;
  const char* end = EventReader<false>(event, seen).in_order(at) ? line_end(at) : nullptr;
  if (end == nullptr) {
    event.clear();
    at = begin;
    skip_space<true>(at);
    end = EventReader<true>(event, seen).in_any_order(at) ? line_end(at) : nullptr;
  }
  if (end == nullptr || seen.high == 0) return end;
  if (names_replacement || !is_utf8(string_view(begin, static_cast<size_t>(end - begin)))) return nullptr;
  return end;
}

}  // namespace kaudit
