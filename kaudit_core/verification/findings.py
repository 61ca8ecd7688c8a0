"""What a record can be found to be: names, gravity, exit codes (the command line's contract)."""

from __future__ import annotations

from typing import Final, NamedTuple

MALFORMED: Final = "malformed"
UNEXPECTED_EVENT: Final = "unexpected-event"
LEVEL_ABOVE: Final = "level-above"
UNEXPECTED_BODY: Final = "unexpected-body"
UNEXPECTED_MANAGED_FIELDS: Final = "unexpected-managed-fields"
UNEXPECTED_STAGE: Final = "unexpected-stage"
LEVEL_BELOW: Final = "level-below"
INCONSISTENT: Final = "inconsistent"
STAGES_DISAGREE: Final = "stages-disagree"
UNDECIDABLE: Final = "undecidable"
AGREES: Final = "agrees"

GRAVITY: Final = (
    MALFORMED,
    UNEXPECTED_EVENT,
    LEVEL_ABOVE,
    UNEXPECTED_BODY,
    UNEXPECTED_MANAGED_FIELDS,
    UNEXPECTED_STAGE,
    LEVEL_BELOW,
    INCONSISTENT,
    STAGES_DISAGREE,
    UNDECIDABLE,
    AGREES,
)
"""All findings, gravest first. stages-disagree is only looked for with --join."""

RANK: Final = {name: rank for rank, name in enumerate(GRAVITY)}

URI_UNPARSABLE: Final = "uri-unparsable"
INVALID_UTF8: Final = "invalid-utf8"
UNKNOWN_METHOD: Final = "unknown-method"
PATH_AMBIGUOUS: Final = "path-ambiguous"
BENIGN_REASONS: Final = frozenset((URI_UNPARSABLE, INVALID_UTF8, UNKNOWN_METHOD, PATH_AMBIGUOUS))
"""Reasons for undecidable that a correct server can cause; only --strict turns them into exit code 1."""


class Finding(NamedTuple):
    """One thing found about one record.

    reason: a short name within the finding, "" where there is only one.
    why: one sentence with raw values in it; whoever prints it escapes it.
    """

    name: str
    reason: str
    why: str


class Verdict(NamedTuple):
    """All that was found about one record, gravest first, and the rule that decided it.

    decided: whether a rule is known; then rule is its index, or None when no rule matched.
    """

    findings: tuple[Finding, ...]
    decided: bool
    rule: int | None

    @property
    def outcome(self) -> str:
        """The gravest finding's name."""
        return self.findings[0].name
