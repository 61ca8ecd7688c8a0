"""What the policy may have said about a logged event, from what the event still tells (semantics B9).

Usually one decision. Where the event leaves more than one open, all that are possible, so that what holds for
each of them can still be checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final, NamedTuple

from kaudit_core.events.attributes import METHOD_OF_VERB, attributes_for_verb, request_attributes
from kaudit_core.events.json_text import shown
from kaudit_core.events.uri import UnparsableURI
from kaudit_core.policy.evaluator import Evaluator, first_mismatch
from kaudit_core.policy.types import Attributes, Policy, RequestAuditConfig, Rule
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


class _Rest(NamedTuple):
    """What a rule still says when something was lost.

    certain: the rule without what looks at it. whole: that is all of the rule. answer: the config but for its rule.
    """

    certain: Rule
    whole: bool
    config: RequestAuditConfig
    answer: RequestAuditConfig


class Decider:
    """Rebuilds decisions for one policy."""

    def __init__(self, policy: Policy, evaluator: Evaluator | None = None) -> None:
        self.evaluator = evaluator or Evaluator(policy)
        # A U+FFFD in a log may have been any byte. It only matters to a policy that holds one itself.
        self._names_replacement = REPLACEMENT in repr(policy)
        self._rests: dict[tuple[str, ...], tuple[_Rest, ...]] = {}

    def decide(self, event: Mapping[str, Any], invalid_utf8: bool) -> Decisions:
        """Return what the policy may have said. invalid_utf8: the record's bytes were damaged."""
        user, groups = original_user(event)
        asked = Attributes(user=user, groups=groups, verb=event.get("verb") or "")
        uri = event["requestURI"]
        if invalid_utf8 or self._names_replacement:
            lost = self._lost_bytes(asked, uri)
            if lost:
                why = f"bytes that are not UTF-8 were lost from {' and '.join(lost)}"
                return self._open(asked, uri, lost, Finding(UNDECIDABLE, INVALID_UTF8, why))
        decisions = self._from_uri(asked, uri, event)
        if invalid_utf8:
            damaged = Finding(UNDECIDABLE, INVALID_UTF8, "the record holds bytes that are not UTF-8: it was damaged")
            return decisions._replace(findings=(*decisions.findings, damaged))
        return decisions

    def _lost_bytes(self, asked: Attributes, uri: str) -> list[str]:
        texts = {"user": (asked.user or "", *asked.groups), "verb": (asked.verb,), "requestURI": (uri,)}
        return [name for name, values in texts.items() if any(REPLACEMENT in value for value in values)]

    def _from_uri(self, asked: Attributes, uri: str, event: Mapping[str, Any]) -> Decisions:
        opaque = not uri.startswith("/") and uri != "*"
        try:
            judged = attributes_for_verb(asked.verb, uri, asked.user, asked.groups)
        except UnparsableURI as error:
            finding = Finding(UNDECIDABLE, URI_UNPARSABLE, f"the URI can't be read again: {error}")
            return self._by_reference(asked, event, finding) or self._open(asked, uri, ["requestURI"], finding)
        if opaque:
            # Only a URI without a leading slash is logged so, and then the server judged the path "".
            why = "the URI has no path: the server judged an empty one, whatever the text looks like"
            finding = Finding(UNDECIDABLE, PATH_AMBIGUOUS, why)
            configs = self._evaluate((asked, *judged))
            return self._by_reference(asked, event, finding) or Decisions(configs, False, None, (finding,))
        return Decisions(self._evaluate(judged), True, judged[0]) if judged else self._impossible_verb(asked, uri)

    def _by_reference(self, asked: Attributes, event: Mapping[str, Any], finding: Finding) -> Decisions | None:
        """Without a URI, objectRef still says what was asked for; its names may have been filled in later."""
        reference = event.get("objectRef")
        if not reference:
            return None
        received = event["stage"] == "RequestReceived"
        namespaces, names = (
            dict.fromkeys((reference.get(name) or "", *(() if received else ("",)))) for name in ("namespace", "name")
        )
        judged = tuple(
            replace(
                asked,
                namespace=namespace,
                name=name,
                resource=reference.get("resource") or "",
                subresource=reference.get("subresource") or "",
                api_group=reference.get("apiGroup") or "",
                resource_request=True,
            )
            for namespace in namespaces
            for name in names
        )
        return Decisions(self._evaluate(judged), False, None, (finding,))

    def _impossible_verb(self, asked: Attributes, uri: str) -> Decisions:
        """No HTTP/1.1 method gives this verb on this URI."""
        verb, plain = asked.verb, request_attributes("GET", uri, asked.user, asked.groups)
        if plain.resource_request:
            methods = sorted(set(METHOD_OF_VERB.values()))
            judged = tuple(request_attributes(method, uri, asked.user, asked.groups) for method in methods)
            possible = ", ".join(shown(other) for other in sorted({attributes.verb for attributes in judged}))
            why = f"no method gives verb {shown(verb)} on this URI, only {possible}"
            attributes = plain if len({attributes.name for attributes in judged}) == 1 else None
            configs = self._evaluate(judged)
            return Decisions(configs, len(configs) == 1, attributes, (Finding(INCONSISTENT, "verb", why),))
        configs = self._evaluate((replace(plain, verb=verb.lower()),))
        if verb and verb == verb.lower():
            why = f"verb {shown(verb)} is no HTTP method; HTTP/2 lets clients send it all the same"
            return Decisions(configs, True, plain, (Finding(UNDECIDABLE, UNKNOWN_METHOD, why),))
        why = f"verb {shown(verb)} can't be: on a non-resource URI it is the method in lower case"
        return Decisions(configs, False, plain, (Finding(INCONSISTENT, "verb", why),))

    def _evaluate(self, judged: tuple[Attributes, ...]) -> tuple[RequestAuditConfig, ...]:
        return tuple(dict.fromkeys(self.evaluator.evaluate(attributes) for attributes in judged))

    def _open(self, asked: Attributes, uri: str, lost: list[str], finding: Finding) -> Decisions:
        """Every decision that is possible when user, verb or requestURI are lost and the rest is known."""
        known = None
        if "requestURI" not in lost and "verb" not in lost:
            with suppress(UnparsableURI):
                known = next(iter(attributes_for_verb(asked.verb, uri, asked.user, asked.groups)), None)
        if known is None:
            lost = [*lost, "requestURI"]
        configs: dict[RequestAuditConfig, RequestAuditConfig] = {}  # the first of each answer
        for rest in self._without(tuple(lost)):
            if first_mismatch(rest.certain, known or asked):
                continue
            configs.setdefault(rest.answer, rest.config)
            if rest.whole:
                break  # matches whatever the rest was: no later rule can have decided
        else:
            configs.setdefault(self.evaluator.default, self.evaluator.default)
        return Decisions(tuple(configs.values()), False, known, (finding,))

    def _without(self, lost: tuple[str, ...]) -> tuple[_Rest, ...]:
        """The rules, each without what looks at what was lost: made once, a log may hold many such records."""
        if lost not in self._rests:
            pairs = zip(self.evaluator.policy.rules, self.evaluator.configs, strict=True)
            self._rests[lost] = tuple(_rest(rule, config, lost) for rule, config in pairs)
        return self._rests[lost]


def _rest(rule: Rule, config: RequestAuditConfig, lost: tuple[str, ...]) -> _Rest:
    certain = rule
    if "user" in lost:
        certain = replace(certain, users=(), user_groups=())
    if "verb" in lost:
        certain = replace(certain, verbs=())
    if "requestURI" in lost:
        certain = replace(certain, namespaces=(), resources=(), non_resource_urls=())
    return _Rest(certain, certain == rule, config, replace(config, rule=None))


def original_user(event: Mapping[str, Any]) -> tuple[str | None, tuple[str, ...]]:
    """The user that was judged: never the impersonated one (A1). An empty object is no user at all (B4)."""
    user = event.get("user") or {}
    if not any(user.values()):
        return None, ()
    return user.get("username") or "", tuple(user.get("groups") or ())
