"""Which rule decides a request and why no earlier one does, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kaudit_core.policy.explanation import why_not
from kaudit_core.policy.requests import as_logged, attributes_json, config_json
from kaudit_core.policy.types import Attributes, Policy, RequestAuditConfig
from kaudit_core.report.escaping import visible


def explanation_json(policy: Policy, attributes: Attributes, config: RequestAuditConfig) -> dict[str, Any]:
    """Return evaluate's object with "attributes", and "notMatched" for each earlier rule."""
    return {
        **config_json(config),
        "attributes": attributes_json(attributes),
        "notMatched": [
            {"rule": index, "line": policy.rules[index].line, "why": why}
            for index, why in _earlier(policy, attributes, config)
        ],
    }


def explanation_text(policy: Policy, source: str, attributes: Attributes, config: RequestAuditConfig) -> str:
    """Return some lines, ending with a newline."""
    lines = ["attributes"]
    for key, value in attributes_json(attributes).items():
        lines.append(f"  {key:<16} {_value(value)}")
    if attributes.user is None:
        lines.insert(1, f"  {'user':<16} none: not authenticated")
    lines += ["", *_decision(policy, source, config), ""]
    earlier = [f"  rule {index}{_line(policy, index)}  {why}" for index, why in _earlier(policy, attributes, config)]
    if earlier:
        lines += ["not matched", *earlier]
    else:
        lines.append("no earlier rule")
    return "\n".join(lines) + "\n"


def _decision(policy: Policy, source: str, config: RequestAuditConfig) -> Iterator[str]:
    if config.rule is None:
        yield "decided by        no rule: nothing matches, nothing is logged"
    else:
        yield f"decided by        rule {config.rule}{_line(policy, config.rule)} of {visible(source, 400)}"
    yield f"level             {config.level}"
    yield f"omitStages        {', '.join(config.omit_stages) or 'none'}"
    yield f"omitManagedFields {'yes' if config.omit_managed_fields else 'no'}"


def _earlier(policy: Policy, attributes: Attributes, config: RequestAuditConfig) -> Iterator[tuple[int, str]]:
    end = len(policy.rules) if config.rule is None else config.rule
    for index, rule in enumerate(policy.rules[:end]):
        yield index, why_not(rule, attributes)


def _line(policy: Policy, index: int) -> str:
    line = policy.rules[index].line
    return f" (line {line})" if line else ""


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(visible(as_logged(item)) for item in value) or "none"
    return visible(value) or '""'
