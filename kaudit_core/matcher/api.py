"""The matcher for other programs: one policy, ready to evaluate requests and to verify logs.

    >>> from kaudit_core.matcher import Matcher
    >>> matcher = Matcher(b'''
    ... apiVersion: audit.k8s.io/v1
    ... kind: Policy
    ... rules:
    ... - level: RequestResponse
    ...   resources: [{group: "", resources: [secrets]}]
    ... - level: Metadata
    ... ''')

What would the server do with a request? Attributes are what the policy judges:

    >>> from kaudit_core.events.attributes import request_attributes
    >>> asked = request_attributes("GET", "/api/v1/namespaces/x/secrets/s", user="alice", groups=("devs",))
    >>> matcher.evaluate(asked).level
    'RequestResponse'

Is a log what the policy promises? Logs are files, directories, patterns, or bytes:

    >>> event = (b'{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"1",'
    ...          b'"stage":"ResponseComplete","requestURI":"/version","verb":"get","user":{"username":"alice"}}')
    >>> summary = matcher.verify(event + b"\\n")
    >>> dict(summary.outcomes), summary.rules
    ({'agrees': 1}, {1: [1, 173]})

Who asked for what? Events come as Arrow record batches, for DuckDB, pandas, polars or code of one's own:

    >>> (batch,) = matcher.scan(event + b"\\n")
    >>> batch.select(["user", "verb", "requestURI", "outcome", "rule"]).to_pylist()
    [{'user': 'alice', 'verb': 'get', 'requestURI': '/version', 'outcome': 'agrees', 'rule': 1}]
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from kaudit_core.events.records import MAX_LINE
from kaudit_core.events.segments import Segment, SegmentError, find_segments
from kaudit_core.matcher.engine import Options, select
from kaudit_core.policy.evaluator import Evaluator
from kaudit_core.policy.reader import read_policy
from kaudit_core.policy.types import Attributes, Policy, RequestAuditConfig
from kaudit_core.policy.versions import DEFAULT, KubernetesVersion
from kaudit_core.verification.judge import Judge
from kaudit_core.verification.summary import DEFAULT_EXAMPLES, PolicyIdentity, SegmentSummary, Summary

if TYPE_CHECKING:
    import pyarrow

Log = str | os.PathLike[str] | bytes


class PolicyRefused(ValueError):
    """The server would not start with this policy; the message says why."""


class Matcher:
    """One policy, compiled once. May be used by one thread at a time."""

    def __init__(
        self,
        policy: Policy | Log,
        *,
        kubernetes_version: str | KubernetesVersion = DEFAULT,
        engine: str | None = None,
    ) -> None:
        """policy: as it was read, the bytes of a policy file, or the path of one, loaded as the server loads it.

        engine: "native", "reference" or None for KAUDIT_ENGINE, or the best there is. Raises PolicyRefused, OSError
        and EngineError.
        """
        self._identity: tuple[PolicyIdentity, ...] = ()
        self.policy = policy if isinstance(policy, Policy) else self._read(policy, kubernetes_version)
        self._engine = select(engine)
        self._evaluator = _evaluator(self.policy, self._engine.name)

    def evaluate(self, attributes: Attributes) -> RequestAuditConfig:
        """What the server decides for a request: rule, level, omitted stages, managedFields."""
        return self._evaluator.evaluate(attributes)

    def verify(
        self,
        *logs: Log,
        join: bool = False,
        examples: int = DEFAULT_EXAMPLES,
        max_line: int = MAX_LINE,
        threads: int = 0,
    ) -> Summary:
        """Judge every record of some logs, in their order. What can't be read is in the summary with its error.

        Bytes are a log that is complete: an unterminated last line is torn. The options are those of
        matcher.engine.Options.
        """
        segments, errors = _segments(logs)
        options = Options(examples=examples, max_line=max_line, join=join, threads=threads)
        summary = self._engine.verify(self.policy, segments, options)
        for path, reason in errors:
            summary.add_segment(SegmentSummary(path, error=reason))
        summary.policies = self._identity
        return summary

    def scan(self, *logs: Log, max_line: int = MAX_LINE) -> Iterator[pyarrow.RecordBatch]:
        """Every record as a row: its place, outcome and rule, and the fields that others search by (scan.SCHEMA).

        Batches are in the order of the log. Needs the native engine and the extra `arrow`; raises SegmentError behind
        the last record that could be read.
        """
        from kaudit_core.matcher.compiler import compile_policy
        from kaudit_core.matcher.scan import scan_segment

        segments, errors = _segments(logs)
        compiled, judge = compile_policy(self.policy), Judge(self.policy, self._evaluator)
        for segment in segments:
            yield from scan_segment(segment, compiled, judge, max_line)
        for _, reason in errors:
            raise SegmentError(reason)

    def _read(self, policy: Log, version: str | KubernetesVersion) -> Policy:
        data = policy if isinstance(policy, bytes) else Path(policy).read_bytes()
        source = "bytes" if isinstance(policy, bytes) else os.fspath(policy)
        if isinstance(version, str):
            version = KubernetesVersion.parse(version)
        reading = read_policy(data, source, version)
        if reading.policy is None:
            raise PolicyRefused("; ".join(finding.message for finding in reading.findings))
        self._identity = (PolicyIdentity(reading.sha256, reading.source),)
        return reading.policy


def _evaluator(policy: Policy, engine: str) -> Evaluator:
    if engine == "native":
        from kaudit_core.matcher.compiled_evaluator import CompiledEvaluator
        from kaudit_core.matcher.compiler import compile_policy

        with suppress(UnicodeEncodeError):  # a name that no request can have
            return CompiledEvaluator(policy, compile_policy(policy))
    return Evaluator(policy)


def _segments(logs: Sequence[Log]) -> tuple[list[Segment], list[tuple[str, str]]]:
    """What logs mean, and what can't be read."""
    segments: list[Segment] = []
    errors: list[tuple[str, str]] = []
    for number, log in enumerate(logs):
        if isinstance(log, bytes):
            segments.append(Segment(f"bytes {number}", False, False, log))
        else:
            found = find_segments([os.fspath(log)])
            segments += found.segments
            errors += found.errors
    return segments, errors
