"""The corpus of bad and odd policies: refused or loaded as upstream, with the right finding at the right line."""

from __future__ import annotations

from pathlib import Path

import pytest

from kaudit_core.policy.reader import read_policy

CORPUS = Path(__file__).parent.parent / "corpus" / "bad-policies"
FILES = sorted(path.name for path in CORPUS.glob("*.yaml"))

Row = tuple[str, str, str, int]
EXPECTED: dict[str, list[Row]] = {
    "anchors.yaml": [("note", "anchor", "", 4)],
    "badlevel.yaml": [("error", "unsupported-value", "rules[0].level", 4)],
    "badstage.yaml": [
        ("error", "invalid-value", "omitStages[0]", 3),
        ("error", "invalid-value", "rules[0].omitStages[0]", 6),
    ],
    "badverbs.yaml": [],
    "badyaml.yaml": [("error", "syntax", "", 5)],
    "bom.yaml": [("note", "byte-order-mark", "", 1)],
    "bominside.yaml": [
        ("error", "missing-version", "apiVersion", 2),
        ("strict", "unknown-field", '"\\ufeffapiVersion"', 2),
    ],
    "caselevel.yaml": [
        ("strict", "letter-case", "rules[0].Level", 4),
        ("error", "required", "rules[0].level", 4),
    ],
    "caserules.yaml": [
        ("error", "no-rules", "rules", 1),
        ("strict", "letter-case", "Rules", 3),
    ],
    "crlf.yaml": [("note", "crlf", "", 1)],
    "dupfield.yaml": [("strict", "duplicate-key", "rules[0].level", 5)],
    "empty.yaml": [("error", "empty", "", 1)],
    "emptyrules.yaml": [("error", "no-rules", "rules", 3)],
    "emptysecond.yaml": [],
    "escapedquote.yaml": [],
    "escapedslash.yaml": [("error", "syntax", "", 5)],
    "flowcolon.yaml": [],
    "flowquestion.yaml": [("error", "syntax", "", 5)],
    "groupstar.yaml": [("error", "group-wildcard", "rules[0].resources[0].group", 6)],
    "groupupper.yaml": [("error", "invalid-value", "rules[0].resources[0].group", 6)],
    "groupver.yaml": [("error", "invalid-value", "rules[0].resources[0].group", 6)],
    "infinite.yaml": [("error", "not-in-json", "", 3)],
    "json0.yaml": [("note", "json", "", 1)],
    "jsonrepeat.yaml": [
        ("note", "json", "", 1),
        ("strict", "duplicate-key", "rules", 3),
    ],
    "jsontrail.yaml": [("error", "syntax", "", 1)],
    "jsonunknown.yaml": [
        ("note", "json", "", 1),
        ("strict", "unknown-field", "rules[0].user", 4),
    ],
    "jsonutf8.yaml": [
        ("note", "missing-kind", "kind", 1),
        ("note", "json", "", 1),
        ("strict", "encoding", "", 1),
    ],
    "lowerapiversion.yaml": [("strict", "letter-case", "apiversion", 1)],
    "manyerrors.yaml": [
        ("error", "invalid-value", "omitStages[0]", 3),
        ("error", "unsupported-value", "rules[0].level", 5),
        ("error", "wrong-type", "rules[0].users", 6),
        ("strict", "unknown-field", "rules[1].levle", 7),
        ("error", "required", "rules[1].level", 7),
        ("error", "invalid-value", "rules[2].nonResourceURLs", 8),
        ("error", "invalid-value", "rules[2].nonResourceURLs[0]", 8),
        ("error", "invalid-value", "rules[2].nonResourceURLs[1]", 8),
        ("error", "wrong-type", "rules[2].namespaces[0]", 10),
    ],
    "mergefirst.yaml": [
        ("note", "anchor", "", 4),
        ("note", "merge-key", "", 7),
    ],
    "mergekey.yaml": [
        ("note", "anchor", "", 4),
        ("note", "merge-key", "", 7),
        ("strict", "duplicate-key", "rules[1].users", 8),
        ("error", "wrong-type", "rules[1].users[0]", 8),
    ],
    "mergelast.yaml": [
        ("note", "anchor", "", 4),
        ("note", "merge-key", "", 7),
        ("strict", "merge-overwrites", "rules[1].level", 7),
    ],
    "metalabel.yaml": [
        ("error", "wrong-type", "metadata.labels.tier", 5),
        ("error", "wrong-type", "metadata.labels.since", 6),
    ],
    "metaname.yaml": [],
    "misplacedverbs.yaml": [("strict", "unknown-field", "rules[0].resources[0].verbs", 7)],
    "noanchor.yaml": [("error", "unknown-anchor", "", 5)],
    "nokind.yaml": [("note", "missing-kind", "kind", 1)],
    "nolevel.yaml": [("error", "required", "rules[0].level", 4)],
    "nonresempty.yaml": [("error", "invalid-value", "rules[0].nonResourceURLs[0]", 5)],
    "nonresmid.yaml": [
        ("error", "invalid-value", "rules[0].nonResourceURLs[0]", 5),
        ("error", "invalid-value", "rules[0].nonResourceURLs[1]", 5),
    ],
    "nonresmix.yaml": [("error", "invalid-value", "rules[0].nonResourceURLs", 5)],
    "nonresmix2.yaml": [("error", "invalid-value", "rules[0].nonResourceURLs", 5)],
    "nonresslash.yaml": [("error", "invalid-value", "rules[0].nonResourceURLs[0]", 5)],
    "norules.yaml": [("error", "no-rules", "rules", 1)],
    "nover.yaml": [("error", "missing-version", "apiVersion", 1)],
    "nullitem.yaml": [],
    "nullkey.yaml": [("error", "bad-key", "", 5)],
    "nulllevel.yaml": [("error", "required", "rules[0].level", 4)],
    "nullrule.yaml": [("error", "required", "rules[0].level", 4)],
    "octal.yaml": [],
    "omitmfstr.yaml": [("error", "wrong-type", "omitManagedFields", 3)],
    "omitmfyes.yaml": [],
    "policylist.yaml": [("error", "unknown-kind", "kind", 2)],
    "resgroupstr.yaml": [("error", "wrong-type", "rules[0].resources[0]", 5)],
    "resnames.yaml": [("error", "invalid-value", "rules[0].resources[0].resourceNames", 7)],
    "secondbroken.yaml": [("strict", "second-document", "", 5)],
    "selfalias.yaml": [("error", "self-containing-alias", "", 5)],
    "sexagesimal.yaml": [],
    "tabs.yaml": [("error", "tab", "", 4)],
    "tagcomma.yaml": [],
    "twodocs.yaml": [("strict", "second-document", "", 5)],
    "twodocs_lead.yaml": [],
    "unknownfield.yaml": [("strict", "unknown-field", "rules[0].user", 5)],
    "usergroups.yaml": [
        ("strict", "letter-case", "rules[0].usergroups", 5),
        ("strict", "unknown-field", "rules[0].stages", 6),
    ],
    "usersnum.yaml": [
        ("error", "wrong-type", "rules[0].users[0]", 5),
        ("error", "wrong-type", "rules[0].users[1]", 5),
    ],
    "usersstr.yaml": [("error", "wrong-type", "rules[0].users", 5)],
    "v1alpha1.yaml": [("error", "old-version", "apiVersion", 1)],
    "v1beta1.yaml": [("error", "old-version", "apiVersion", 1)],
    "wrongkind.yaml": [("error", "unknown-kind", "kind", 2)],
    "yaml12.yaml": [("error", "syntax", "", 1)],
}


def upstream_answers() -> dict[str, str]:
    """What k8s.io/apiserver v0.35.4 said, by file; its warnings are other lines."""
    lines = (CORPUS / "upstream-answers.txt").read_text(encoding="utf-8").splitlines()
    pairs = [line.split(": ", 1) for line in lines if not line.startswith(("W", " "))]
    return {name: answer for name, answer in pairs}


def test_every_file_has_an_expectation_and_an_answer() -> None:
    """A file that is added to the corpus can't be forgotten here."""
    assert FILES == sorted(EXPECTED)
    assert FILES == sorted(upstream_answers())


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_refused_or_loaded_as_upstream(name: str) -> None:
    """Refused or not, and the number of rules, is what the upstream reader answered."""
    reading = read_policy((CORPUS / name).read_bytes(), name)

    answer = "ERROR" if reading.policy is None else f"ok, {len(reading.policy.rules)} rules"
    assert upstream_answers()[name].startswith(answer), reading.findings


@pytest.mark.parametrize("name", FILES)
def test_a_file_has_its_findings_in_order(name: str) -> None:
    """Severity, code, field and line of every finding, in the order of the file."""
    findings = read_policy((CORPUS / name).read_bytes(), name).findings

    assert EXPECTED[name] == [(f.severity, f.code, f.path, f.line) for f in findings]


@pytest.mark.parametrize("name", FILES)
def test_a_finding_says_what_to_do_on_one_printable_line(name: str) -> None:
    """A message is one line of ASCII with a cause and, after a colon or semicolon, a way out."""
    for finding in read_policy((CORPUS / name).read_bytes(), name).findings:
        assert finding.message.isascii() and finding.message.isprintable(), finding
        assert ": " in finding.message or "; " in finding.message, finding
        assert finding.column > 0, finding
