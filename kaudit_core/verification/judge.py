"""One record against the policy: all that is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kaudit_core.events.envelopes import CLOUD_AUDIT_LOG
from kaudit_core.events.records import Record
from kaudit_core.policy.evaluator import Evaluator
from kaudit_core.policy.types import LEVEL_RANK, Policy, RequestAuditConfig
from kaudit_core.verification.bodies import unexpected_bodies, unexpected_managed_fields
from kaudit_core.verification.crosscheck import contradictions
from kaudit_core.verification.decisions import Decider, Decisions
from kaudit_core.verification.findings import (
    AGREES,
    LEVEL_ABOVE,
    LEVEL_BELOW,
    MALFORMED,
    RANK,
    UNDECIDABLE,
    UNEXPECTED_EVENT,
    UNEXPECTED_STAGE,
    Finding,
    Verdict,
)


class Judge:
    """Judges records of one log against one policy."""

    def __init__(self, policy: Policy, evaluator: Evaluator | None = None) -> None:
        """evaluator: another one than the readable evaluator, with the same answers."""
        self._policy = policy
        self._decider = Decider(policy, evaluator)

    @property
    def rules(self) -> int:
        """How many rules the policy has."""
        return len(self._policy.rules)

    def judge(self, record: Record) -> Verdict:
        """Return the verdict on a record: its findings, and the rule that decided it where that is known."""
        if record.event is None:
            name = UNDECIDABLE if record.code == CLOUD_AUDIT_LOG else MALFORMED
            return Verdict((Finding(name, record.code or "", record.problem or ""),), False, None)
        decisions = self._decider.decide(record.event, record.invalid_utf8)
        config, against = self._mildest(record.event, decisions)
        found = [*against, *decisions.findings]
        if decisions.attributes is not None:
            found += contradictions(record.event, decisions.attributes)
        return Verdict(_each_once(found) or (Finding(AGREES, "", ""),), decisions.certain, config.rule)

    def decision(self, record: Record) -> RequestAuditConfig:
        """Return the decision that fits an event best."""
        event = record.event or {}
        return self._mildest(event, self._decider.decide(event, record.invalid_utf8))[0]

    def _mildest(self, event: Mapping[str, Any], decisions: Decisions) -> tuple[RequestAuditConfig, list[Finding]]:
        """Of the decisions that are possible, the one that leaves least against the event: that much is proven."""
        tried = ((config, self._against(event, config)) for config in decisions.configs)
        return max(tried, key=lambda one: min((RANK[finding.name] for finding in one[1]), default=len(RANK)))

    def _against(self, event: Mapping[str, Any], config: RequestAuditConfig) -> list[Finding]:
        return [
            *self._level(event["level"], config),
            *unexpected_bodies(event, config),
            *unexpected_managed_fields(event, config),
            *self._stage(event["stage"], config),
        ]

    def _level(self, logged: str, config: RequestAuditConfig) -> Iterator[Finding]:
        if config.level == "None":
            yield Finding(UNEXPECTED_EVENT, "", f"{self._who(config)} None: this request is not to be logged")
        elif LEVEL_RANK[logged] > LEVEL_RANK[config.level]:
            yield Finding(LEVEL_ABOVE, "", f"logged at {logged}, but {self._who(config)} {config.level}")
        elif LEVEL_RANK[logged] < LEVEL_RANK[config.level]:
            yield Finding(LEVEL_BELOW, "", f"logged at {logged}, but {self._who(config)} {config.level}")

    def _stage(self, stage: str, config: RequestAuditConfig) -> Iterator[Finding]:
        if stage in config.omit_stages:
            by = "the policy" if stage in self._policy.omit_stages else self._rule(config)
            yield Finding(UNEXPECTED_STAGE, "", f"stage {stage} is logged, but {by} omits it")

    def _who(self, config: RequestAuditConfig) -> str:
        return "no rule matches, so the level is" if config.rule is None else f"{self._rule(config)} gives"

    def _rule(self, config: RequestAuditConfig) -> str:
        if config.rule is None:
            return "the policy"
        line = self._policy.rules[config.rule].line
        return f"rule {config.rule} (line {line})" if line else f"rule {config.rule}"


def _each_once(found: list[Finding]) -> tuple[Finding, ...]:
    """Gravest first; what is found twice in one record is one finding that says both."""
    joined: dict[str, Finding] = {}
    for finding in sorted(found, key=lambda finding: RANK[finding.name]):
        known = joined.get(finding.name)
        joined[finding.name] = known._replace(why=f"{known.why}; {finding.why}") if known else finding
    return tuple(joined.values())
