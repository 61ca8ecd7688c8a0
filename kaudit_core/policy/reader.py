"""From a file's bytes to a policy with exactly the API server's meaning, and to everything odd about it.

The server falls back from strict to lenient decoding (k8s.io/apiserver pkg/audit/policy/reader.go): an unknown
field is dropped, of two equal keys the last wins, a second document is never read. `read_policy` gives that
meaning and says so. Pure: bytes in, no input or output, no exception for any bytes.
"""

from __future__ import annotations

import gc
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

from kaudit_core.policy.decoding import Decoder, policy_of
from kaudit_core.policy.document import Document, Number, Remark, Repeated, Unreadable
from kaudit_core.policy.findings import ERROR, NOTE, STRICT, PolicyFinding, path_text, quoted
from kaudit_core.policy.json_document import is_json, read_json
from kaudit_core.policy.repeated_fields import collapse
from kaudit_core.policy.schema import POLICY, POLICY_BEFORE_1_23, Struct
from kaudit_core.policy.types import Policy
from kaudit_core.policy.validation import validate
from kaudit_core.policy.versions import DEFAULT, OMIT_MANAGED_FIELDS_SINCE, ONLY_V1_SINCE, KubernetesVersion

GROUP: Final = "audit.k8s.io"
API_VERSION: Final = f"{GROUP}/v1"
OLD_API_VERSIONS: Final = (f"{GROUP}/v1beta1", f"{GROUP}/v1alpha1")
_PROTOBUF: Final = b"k8s\0"


@dataclass(frozen=True)
class PolicyReading:
    """What became of one policy file.

    source: the name it was read under, as given; sha256: of its bytes.
    policy: None exactly when the server refuses the file.
    findings: in the order of the file.
    """

    source: str
    sha256: str
    policy: Policy | None
    findings: tuple[PolicyFinding, ...]

    @property
    def refused(self) -> bool:
        """The server does not start with this file."""
        return self.policy is None

    @property
    def strict(self) -> bool:
        """A strict reader has nothing against this file: no error, nothing dropped."""
        return all(finding.severity == NOTE for finding in self.findings)


def read_policy(data: bytes, source: str, version: KubernetesVersion = DEFAULT) -> PolicyReading:
    """Read a policy file as a server of this version does."""
    with _collector_paused():
        policy, findings = _read(data, version)
    findings.sort(key=lambda finding: (finding.line, finding.column))
    if any(finding.severity == ERROR for finding in findings):
        policy = None
    return PolicyReading(source, hashlib.sha256(data).hexdigest(), policy, tuple(findings))


@contextmanager
def _collector_paused() -> Iterator[None]:
    """A large policy is hundreds of thousands of objects and no garbage: looking for some takes half of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _read(data: bytes, version: KubernetesVersion) -> tuple[Policy | None, list[PolicyFinding]]:
    try:
        document = _parse(data)
    except Unreadable as error:
        return None, [PolicyFinding(error.code, ERROR, error.message, "", error.line, error.column)]
    if document.root is None:
        message = f"the file is empty: write apiVersion: {API_VERSION}, kind: Policy and rules"
        return None, [PolicyFinding("empty", ERROR, message, "", 1, 1), *_placed(document.remarks, document)]
    shape = POLICY if version >= OMIT_MANAGED_FIELDS_SINCE else POLICY_BEFORE_1_23
    policy, findings = _decode(document, shape, version)
    return policy, findings + _placed(document.remarks, document)


def _parse(data: bytes) -> Document:
    if data.startswith(_PROTOBUF):
        raise Unreadable("protobuf", "this is a Kubernetes protobuf, not text: write the policy as YAML", 1, 1)
    if is_json(data):
        return read_json(data)
    # PyYAML costs more to import than everything else here, and a JSON file does not need it.
    from kaudit_core.policy.yaml_document import read_yaml

    return read_yaml(data)


def _placed(remarks: list[Remark], document: Document) -> list[PolicyFinding]:
    made = []
    for remark in remarks:
        line, column = document.place(remark.position) if remark.position is not None else (1, 1)
        made.append(PolicyFinding(remark.code, remark.severity, remark.message, path_text(remark.path), line, column))
    return made


def _decode(document: Document, shape: Struct, version: KubernetesVersion) -> tuple[Policy, list[PolicyFinding]]:
    """Version and kind, types, then validation: each goes on where the server would stop, as far as it makes sense."""
    findings, is_policy = _version_and_kind(document, version)
    if not is_policy:
        return Policy(()), findings
    decoder = Decoder(document)
    fields = decoder.decode(shape)
    findings += decoder.findings
    if document.repeated:
        plain = collapse(shape, [document.root])
        fields = Decoder(replace(document, root=plain)).decode(shape)
    policy = policy_of(fields, document)
    if isinstance(document.root, dict):
        findings += _faults(policy, document, version, findings)
    return policy, findings


def _faults(
    policy: Policy, document: Document, version: KubernetesVersion, known: list[PolicyFinding]
) -> list[PolicyFinding]:
    """Validation's faults, without those that only follow from a wrong type at the same place."""
    mistyped = tuple(finding.path for finding in known if finding.code == "wrong-type")
    made = []
    for path, code, message in validate(policy, version):
        text = path_text(path)
        if not (mistyped and text.startswith(mistyped)):
            line, column = document.locate(path)
            made.append(PolicyFinding(code, ERROR, message, text, line, column))
    return made


def _version_and_kind(document: Document, version: KubernetesVersion) -> tuple[list[PolicyFinding], bool]:
    """Findings about apiVersion and kind, and whether the rest is worth decoding as a policy.

    The server finds these two fields whatever their letter case, and takes the last one that is not null.
    """
    given = {"apiVersion": "", "kind": ""}
    findings = []
    for key, value, position in _top_fields(document):
        field = _FOLDED.get(key.replace("ſ", "s").lower()) if isinstance(key, str) else None
        if field is None or value is None:
            continue
        if type(value) is str:
            given[field] = value
        elif key != field:
            line, column = document.place(position) if position is not None else (0, 0)
            message = f"{key} must be a string: write {field}, and its value in quotes"
            findings.append(PolicyFinding("wrong-type", ERROR, message, key, line, column))
    if not isinstance(document.root, dict):
        return findings, True
    findings += _version_findings(given["apiVersion"], document, version)
    findings += _kind_findings(given["kind"], document)
    foreign = any(finding.code in ("unknown-kind", "unknown-version") for finding in findings)
    return findings, not foreign or given["apiVersion"] == ""


_FOLDED: Final = {"apiversion": "apiVersion", "kind": "kind"}


def _top_fields(document: Document) -> list[tuple[Any, Any, Any]]:
    root = document.root
    if isinstance(root, Repeated):
        return [(key, value, at[1]) for (key, value), at in zip(root.pairs, root.places, strict=True)]
    if not isinstance(root, dict):
        return []
    at = getattr(root, "at", {})
    fields = [(key, value, at.get(key, (None, None))[1]) for key, value in root.items()]
    return sorted(fields, key=lambda field: str(field[0])) if document.sort_keys else fields


def _version_findings(given: str, document: Document, version: KubernetesVersion) -> list[PolicyFinding]:
    if given == API_VERSION:
        return []
    line, column = document.locate(("apiVersion",))
    way = f"change apiVersion to {API_VERSION}; the rules stay as they are"
    if given in OLD_API_VERSIONS:
        severity = NOTE if version < ONLY_V1_SINCE else ERROR
        message = f"{given} is gone since Kubernetes {ONLY_V1_SINCE}: {way}"
        return [PolicyFinding("old-version", severity, message, "apiVersion", line, column)]
    if not given:
        value = document.root.get("apiVersion") if isinstance(document.root, dict) else None
        if isinstance(value, (Number, bool, dict, list)):
            return []
        message = f"apiVersion is missing: add apiVersion: {API_VERSION}"
        return [PolicyFinding("missing-version", ERROR, message, "apiVersion", line, column)]
    message = f"apiVersion {quoted(given)} is not that of audit policies: write {API_VERSION}"
    return [PolicyFinding("unknown-version", ERROR, message, "apiVersion", line, column)]


def _kind_findings(given: str, document: Document) -> list[PolicyFinding]:
    if given == "Policy":
        return []
    line, column = document.locate(("kind",))
    if not given:
        value = document.root.get("kind") if isinstance(document.root, dict) else None
        if isinstance(value, (Number, bool, dict, list)):
            return []
        message = "kind is missing: the server takes the file for a Policy; write kind: Policy"
        return [PolicyFinding("missing-kind", NOTE, message, "kind", line, column)]
    message = f"kind {quoted(given)} is not Policy: write kind: Policy"
    return [PolicyFinding("unknown-kind", ERROR, message, "kind", line, column)]


__all__ = ["API_VERSION", "ERROR", "NOTE", "OLD_API_VERSIONS", "STRICT", "PolicyReading", "read_policy"]
