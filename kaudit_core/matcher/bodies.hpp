// Bodies: requestObject and responseObject, looked into as far as the verifier judges them.
//
// Purpose:    says whether a body is valid JSON, repeats no key where the server writes each once, and holds
//             managedFields where the server would have stripped them.
// Layout:     the body's own members, those of metadata, of items[] and of rows[].object are walked; all else is
//             skipped by grammar.hpp.
// Invariants: managed is never false where the reference finds managedFields. It may be true where it does not (an
//             empty value, rows of another kind): then the reference looks at the event.
// Cost:       about 10 ns for each member that is walked, and grammar.hpp's for the rest.
//
// Mirrors k8s.io/apiserver pkg/audit/request.go (B11: metadata, items[].metadata, rows[].object.metadata; never a
// patch) and events.event_shape.judged_objects.
#pragma once

#include "text.hpp"
#include "values.hpp"

namespace kaudit {

template <bool kSpaced>
class BodyWalk {
 public:
  BodyWalk(Seen& seen, bool& managed) : seen_(seen), managed_(managed) {}

  // The body at `at`, of whatever kind.
  bool take(const char*& at) {
    if (*at != '{') return skip_any<kSpaced>(at, seen_);
    return take_object<kSpaced>(at, seen_, [this](string_view key, const char*& here) {
      if (key == "metadata") return metadata(here);
      if (key == "items") return list(here, [this](const char*& one) { return holder(one); });
      if (key == "rows") return list(here, [this](const char*& one) { return row(one); });
      return skip_any<kSpaced>(here, seen_);
    });
  }

 private:
  bool metadata(const char*& at) {
    if (*at != '{') return skip_any<kSpaced>(at, seen_);
    return take_object<kSpaced>(at, seen_, [this](string_view key, const char*& here) {
      managed_ |= key == "managedFields";
      return skip_any<kSpaced>(here, seen_);
    });
  }

  // An object with metadata of its own.
  bool holder(const char*& at) {
    if (*at != '{') return skip_any<kSpaced>(at, seen_);
    return take_object<kSpaced>(at, seen_, [this](string_view key, const char*& here) {
      return key == "metadata" ? metadata(here) : skip_any<kSpaced>(here, seen_);
    });
  }

  bool row(const char*& at) {
    if (*at != '{') return skip_any<kSpaced>(at, seen_);
    return take_object<kSpaced>(at, seen_, [this](string_view key, const char*& here) {
      return key == "object" ? holder(here) : skip_any<kSpaced>(here, seen_);
    });
  }

  template <class Element>
  bool list(const char*& at, Element&& element) {
    return *at == '[' ? take_list<kSpaced>(at, element) : skip_any<kSpaced>(at, seen_);
  }

  Seen& seen_;
  bool& managed_;
};

}  // namespace kaudit
