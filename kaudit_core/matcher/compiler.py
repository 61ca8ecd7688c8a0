"""A policy written down for the native matcher: numbers, sizes and texts in three buffers.

numbers: how many rules, whether the texts hold U+FFFD, what holds where no rule matches (level, omitted stages,
managedFields as below); then for every rule its level, omitted stages as bits, whether
managedFields are omitted, how long its lists of users, userGroups, verbs, namespaces and nonResourceURLs are and what
they hold is in texts, how many entries `resources` has, and for each of these how many resources and resourceNames.
sizes: bytes of every text, in the order of the numbers; an entry's group stands before its lists.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from functools import reduce
from operator import or_
from typing import Final

from kaudit_core.matcher._native import CompiledPolicy
from kaudit_core.policy.types import LEVEL_RANK, STAGES, Policy, Rule

_REPLACEMENT: Final = "\ufffd".encode()
_STAGE_BIT: Final = {stage: 1 << index for index, stage in enumerate(STAGES)}


def compile_policy(policy: Policy) -> CompiledPolicy:
    """Compile a policy; what is compiled is immutable and may be used by several threads."""
    numbers: list[int] = [len(policy.rules), 0, 0, _bits(policy.omit_stages), policy.omit_managed_fields]
    texts: list[str] = []
    for rule in policy.rules:
        _write_rule(rule, policy, numbers, texts)
    encoded = [as_bytes(text) for text in texts]
    data = b"".join(encoded)
    numbers[1] = _REPLACEMENT in data
    return CompiledPolicy(array("I", numbers), array("I", map(len, encoded)), data)


def _write_rule(rule: Rule, policy: Policy, numbers: list[int], texts: list[str]) -> None:
    omitted = _bits(policy.omit_stages) | _bits(rule.omit_stages)
    managed = policy.omit_managed_fields if rule.omit_managed_fields is None else rule.omit_managed_fields
    numbers += (LEVEL_RANK[rule.level], omitted, managed)
    for listed in (rule.users, rule.user_groups, rule.verbs, rule.namespaces, rule.non_resource_urls):
        numbers.append(len(listed))
        texts += listed
    numbers.append(len(rule.resources))
    for entry in rule.resources:
        numbers += (len(entry.resources), len(entry.resource_names))
        texts.append(entry.group)
        texts += entry.resources
        texts += entry.resource_names


def _bits(stages: Iterable[str]) -> int:
    return reduce(or_, (_STAGE_BIT[stage] for stage in stages), 0)


def as_bytes(text: str) -> bytes:
    """A text as the bytes that are compared: surrogate escapes are the bytes they stand for."""
    return text.encode("utf-8", "surrogateescape")
