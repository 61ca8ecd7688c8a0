"""What the policy may have said about a logged event, from what the event still tells (semantics B9).

Usually one decision. Where the event leaves more than one open, all that are possible, so that what holds for
each of them can still be checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, NamedTuple

from kaudit_core.events.attributes import METHOD_OF_VERB, attributes_for_verb, request_attributes
from kaudit_core.events.json_text import shown
from kaudit_core.events.uri import UnparsableURI
from kaudit_core.policy.evaluator import Evaluator
from kaudit_core.policy.types import Attributes, Policy, RequestAuditConfig
from kaudit_core.verification.findings import (
    INCONSISTENT,
    INVALID_UTF8,
    PATH_AMBIGUOUS,
    UNDECIDABLE,
    UNKNOWN_METHOD,
    URI_UNPARSABLE,
    Finding,
)

REPLACEMENT: Final = "\ufffd"


class Decisions(NamedTuple):
    """What may have been decided.

    configs: at least one; the likeliest first.
    certain: the one that fits the event is the rule that decided it.
    attributes: what was judged, for the cross-check with objectRef; None when not known well enough.
    findings: what made the rest uncertain.
    """

    configs: tuple[RequestAuditConfig, ...]
    certain: bool
    attributes: Attributes | None
    findings: tuple[Finding, ...] = ()


class Decider:
    """Rebuilds decisions for one policy."""

    def __init__(self, policy: Policy) -> None:
        self.evaluator = Evaluator(policy)
        # A U+FFFD in a log may have been any byte. It only matters to a policy that holds one itself.
        self._names_replacement = REPLACEMENT in repr(policy)

    def decide(self, event: Mapping[str, Any], invalid_utf8: bool) -> Decisions:
        """Return what the policy may have said. invalid_utf8: the record's bytes were damaged."""
        user, groups = original_user(event)
        uri, verb = event["requestURI"], event.get("verb") or ""
        if invalid_utf8 or self._names_replacement:
            user_lost = any(REPLACEMENT in text for text in (user or "", *groups))
            if user_lost or REPLACEMENT in uri or REPLACEMENT in verb:
                why = "bytes that are not UTF-8 were lost from the user, the verb or the URI"
                return self._open(user, groups, None if REPLACEMENT in verb else verb, user_lost, INVALID_UTF8, why)
        try:
            decisions = self._from_uri(verb, uri, user, groups)
        except UnparsableURI as error:
            return self._open(user, groups, verb, False, URI_UNPARSABLE, f"the URI can't be read again: {error}")
        if invalid_utf8:
            lost = Finding(UNDECIDABLE, INVALID_UTF8, "the record holds bytes that are not UTF-8: it was damaged")
            return decisions._replace(findings=(*decisions.findings, lost))
        return decisions

    def _from_uri(self, verb: str, uri: str, user: str | None, groups: tuple[str, ...]) -> Decisions:
        judged = attributes_for_verb(verb, uri, user, groups)
        if not judged:
            return self._impossible_verb(verb, uri, user, groups)
        configs = self._evaluate(judged)
        if uri.startswith(("/", "*")):
            return Decisions(configs, True, judged[0])
        # Only a URI without a leading slash is logged so, and then the server judged the path "".
        opaque = Attributes(user=user, groups=groups, verb=verb)
        why = "the URI has no path: the server judged an empty one, whatever the text looks like"
        ambiguous = Finding(UNDECIDABLE, PATH_AMBIGUOUS, why)
        return Decisions((*configs, *self._evaluate((opaque,))), False, None, (ambiguous,))

    def _impossible_verb(self, verb: str, uri: str, user: str | None, groups: tuple[str, ...]) -> Decisions:
        """No HTTP/1.1 method gives this verb on this URI."""
        plain = request_attributes("GET", uri, user, groups)
        if plain.resource_request:
            methods = sorted(set(METHOD_OF_VERB.values()))
            judged = tuple(request_attributes(method, uri, user, groups) for method in methods)
            possible = ", ".join(shown(other) for other in sorted({attributes.verb for attributes in judged}))
            why = f"no method gives verb {shown(verb)} on this URI, only {possible}"
            attributes = plain if len({attributes.name for attributes in judged}) == 1 else None
            return Decisions(self._evaluate(judged), False, attributes, (Finding(INCONSISTENT, "verb", why),))
        configs = self._evaluate((replace(plain, verb=verb.lower()),))
        if verb and verb == verb.lower():
            why = f"verb {shown(verb)} is no HTTP method; HTTP/2 lets clients send it all the same"
            return Decisions(configs, True, plain, (Finding(UNDECIDABLE, UNKNOWN_METHOD, why),))
        why = f"verb {shown(verb)} can't be: on a non-resource URI it is the method in lower case"
        return Decisions(configs, False, plain, (Finding(INCONSISTENT, "verb", why),))

    def _evaluate(self, judged: tuple[Attributes, ...]) -> tuple[RequestAuditConfig, ...]:
        return tuple(dict.fromkeys(self.evaluator.evaluate(attributes) for attributes in judged))

    def _open(
        self, user: str | None, groups: tuple[str, ...], verb: str | None, user_lost: bool, reason: str, why: str
    ) -> Decisions:
        """Every decision that some URI could lead to, given what else is known."""
        configs: dict[RequestAuditConfig, None] = {}
        for rule, config in zip(self.evaluator.policy.rules, self.evaluator.configs, strict=True):
            if rule.verbs and verb is not None and verb not in rule.verbs:
                continue
            if not user_lost and (
                (rule.users and (user is None or user not in rule.users))
                or (rule.user_groups and (user is None or not set(groups) & set(rule.user_groups)))
            ):
                continue
            configs[config] = None
            by_user = user_lost and (rule.users or rule.user_groups)
            by_verb = verb is None and rule.verbs
            if not (by_user or by_verb or rule.namespaces or rule.resources or rule.non_resource_urls):
                break  # matches whatever the rest was: no later rule can have decided
        else:
            configs[self.evaluator.default] = None
        return Decisions(tuple(configs), False, None, (Finding(UNDECIDABLE, reason, why),))


def original_user(event: Mapping[str, Any]) -> tuple[str | None, tuple[str, ...]]:
    """The user that was judged: never the impersonated one (A1). An empty object is no user at all (B4)."""
    user = event.get("user") or {}
    if not any(user.values()):
        return None, ()
    return user.get("username") or "", tuple(user.get("groups") or ())
