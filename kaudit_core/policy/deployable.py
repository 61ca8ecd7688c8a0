"""A policy as a deployment takes it: from a file, a variable or a preset, refused where lint refuses it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from kaudit_core.policy.composition import Composed, compose
from kaudit_core.policy.findings import ERROR, NOTE, STRICT, PolicyFinding
from kaudit_core.policy.overrides import CompositionRefused
from kaudit_core.policy.reader import PolicyReading, read_policy
from kaudit_core.policy.versions import DEFAULT, NEWEST, OLDEST, KubernetesVersion

_SHOWN: Final = 3
_WORD: Final = re.compile(r"[A-Za-z][A-Za-z0-9.:/-]+")
"""Texts that PyYAML quotes where needed. Of others it leaves some plain (1e3, 0o17, y) that are none to the server."""

_RULE: Final = re.compile(r"rules\[\d+\]")
_NONE: Final[Mapping[str, str]] = {}


class PolicyRefused(Exception):
    """A policy that must not reach a host: every finding, as FILE:LINE:COLUMN: message."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        more = f"; and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else ""
        super().__init__("; ".join(lines[:_SHOWN]) + more)


@dataclass(frozen=True)
class DeployablePolicy:
    """source: for messages. text: byte for byte what goes to the hosts. notes: worth knowing."""

    source: str
    text: str
    sha256: str
    notes: list[str]


def policy_text(content: Any) -> str:
    """A policy given as a variable: text as it stands, a mapping as YAML."""
    if isinstance(content, str):
        return content
    import yaml

    class Dumper(yaml.SafeDumper):
        """Quotes what is no plain word."""

    def represent(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, None if _WORD.fullmatch(text) else "'")

    Dumper.add_representer(str, represent)
    return "# Managed by kaudit.\n" + yaml.dump(content, Dumper=Dumper, sort_keys=False, width=120)


def variable(field: str) -> str:
    """The role's variable for a field of a composition."""
    return f"audit_policy_{field}"


def check_preset(
    given: Mapping[str, Any], version: str | None = None, name: Callable[[str], str] = variable
) -> tuple[DeployablePolicy, Composed]:
    """Compose a policy and check it; `name` is how a refusal calls the field at fault."""
    try:
        composed = compose(given)
    except CompositionRefused as error:
        raise PolicyRefused([f"{name(error.field)}: {error}"]) from error
    origins = {f"rules[{index}]": name(field) for index, field in enumerate(composed.fields) if field}
    origins["omitManagedFields"] = name("omit_managed_fields")
    return check_policy(composed.text.encode(), f"preset {composed.preset.name}", version, origins), composed


def check_policy(
    data: bytes, source: str, version: str | None = None, origins: Mapping[str, str] = _NONE
) -> DeployablePolicy:
    """Refuse what `kaudit policy lint` refuses; without a version, only what no supported server takes.

    origins: where a rule or a field of the text comes from; messages name that instead of a place in the text.
    """
    wrong: list[PolicyFinding] = []
    for each in _versions(version):
        reading = read_policy(data, source, each)
        if not (found := _wrong(reading)):
            break
        wrong = wrong or found
    else:
        raise PolicyRefused([_line(source, finding, origins) for finding in wrong])
    notes = [_line(source, finding) for finding in reading.findings if finding.severity == NOTE]
    try:
        return DeployablePolicy(source, data.decode(), reading.sha256, notes)
    except UnicodeDecodeError as error:
        raise PolicyRefused([f"{source}: no UTF-8 at byte {error.start}; save it as UTF-8"]) from error


def _versions(version: str | None) -> list[KubernetesVersion]:
    """The default first: its findings are shown when all refuse."""
    if version is not None:
        return [KubernetesVersion.parse(version)]
    minors = range(OLDEST.minor, NEWEST.minor + 1)
    return [DEFAULT, *(KubernetesVersion(1, minor) for minor in reversed(minors) if minor != DEFAULT.minor)]


def _wrong(reading: PolicyReading) -> list[PolicyFinding]:
    return [finding for finding in reading.findings if finding.severity in (ERROR, STRICT)]


def _line(source: str, finding: PolicyFinding, origins: Mapping[str, str] = _NONE) -> str:
    rule = _RULE.match(finding.path)
    head = rule[0] if rule else finding.path
    if head in origins:
        field, message = finding.path.replace(head, origins[head]), finding.message.replace(head, origins[head])
        return message if field in message else f"{field}: {message}"
    place = f":{finding.line}:{finding.column}" if finding.line else ""
    field = f" ({finding.path})" if finding.path and finding.path not in finding.message else ""
    return f"{source}{place}: {finding.message}{field}"
