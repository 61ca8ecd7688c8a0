"""Policies that log nothing: RKE2's CIS profile puts one there, and auditing looks as if it were on (pitfall P28)."""

from __future__ import annotations

from kaudit_core.policy.reader import read_policy


def is_silent(policy: str) -> bool:
    """Whether a server with this policy logs no event at all."""
    read = read_policy(policy.encode(), "").policy
    return read is not None and all(rule.level == "None" for rule in read.rules)


def warning(path: str, policy: str) -> str:
    """What to say about the policy a server has now, "" where it logs something or isn't readable."""
    return f"{path}: auditing is on but logs nothing, every rule has level None" if is_silent(policy) else ""
