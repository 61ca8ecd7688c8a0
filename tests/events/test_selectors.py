"""Label and field selectors. tests/oracle/test_request_attributes.py asks upstream the same, through list options."""

from __future__ import annotations

import pytest

from kaudit_core.events.selectors import InvalidSelector, check_label_selector, exact_match, is_int64

VALID_LABELS = [
    "",
    " \t\r\n",
    "a",
    "!a",
    "! a",
    "a=b",
    "a==b",
    "a!=b",
    "a=",
    "a=,b",
    "a!=,b==",
    "a = b , c",
    "a>1",
    "a<0012",
    "example.com/a=b",
    "in",
    "in in (in)",
    "notin=notin",
    "a in (b)",
    "a in ()",
    "a in (,)",
    "a in (,b,,c,)",
    "a notin(b,c),d",
    "a=b\x00,c",
    " \x00 ((",
    "a=" + "v" * 63,
    "p" * 253 + "/" + "n" * 63,
]
INVALID_LABELS = [
    ",",
    "a,",
    ",a",
    "a,,b",
    "a b",
    "!",
    "!a=b",
    "!!a",
    "a=b=c",
    "a=b c",
    "a===b",
    "a in",
    "a in b",
    "a in (",
    "a in (b",
    "a in (b,",
    "a in (b c)",
    "a in ((b))",
    "a in (b) c",
    "a not in (b)",
    "a!b",
    "a>",
    "a>b",
    "a>-1",
    "a>9223372036854775808",
    "-a",
    "a_",
    "a=-",
    "a=b/c",
    "/a",
    "A.b/a/c",
    "EXAMPLE/a",
    "a..b/c",
    "\u017c",
    "a=\u017c",
    "a\x00b",
    "a=" + "v" * 64,
    "n" * 64,
    "p" * 254 + "/n",
]

EXACT = [
    pytest.param("", None, id="empty"),
    pytest.param(",,", None, id="empty-terms"),
    pytest.param("metadata.name=a", "a", id="equals"),
    pytest.param("metadata.name==a", "a", id="double-equals"),
    pytest.param("metadata.name!=a", None, id="not-equals"),
    pytest.param("metadata.name=", "", id="empty-value"),
    pytest.param("spec.x=1,metadata.name=a,spec.y!=2", "a", id="among-other-terms"),
    pytest.param("metadata.name=b,metadata.name=a", "a", id="lesser-term-wins"),
    pytest.param("metadata.name==z,metadata.name=a", "z", id="double-equals-sorts-before-letters"),
    pytest.param("metadata.name!=a,metadata.name=b", "b", id="exclusion-does-not-hide"),
    pytest.param(" metadata.name=a", None, id="space-belongs-to-the-field"),
    pytest.param("metadata.name= a", " a", id="space-belongs-to-the-value"),
    pytest.param(r"metadata.name=a\,b\=c\\", r"a,b=c" + "\\", id="escapes"),
    pytest.param(r"x\,metadata.name=a", None, id="escaped-comma-in-field-does-not-split"),
    pytest.param("a!metadata.name=a", None, id="lone-exclamation-mark-is-data"),
    pytest.param("metadata.name=\uffff,metadata.name=\U00010000", "\uffff", id="sorted-by-bytes-beyond-the-bmp"),
    pytest.param("metadata.name=\uf000,metadata.name=\udcff", "\uf000", id="stray-bytes-sort-as-bytes"),
    pytest.param("metadata.name=\udcff", "\udcff", id="stray-byte-stays"),
    pytest.param("metadata.name=\udcff\\,", "\ufffd,", id="stray-byte-beside-an-escape-is-replaced"),
]
INVALID_FIELDS = ["a", "metadata.name=a,b", "a=b=c", "a=b\\", "a=\\x", "a===b", "a=b,c=\\d", "\\"]

INTEGERS = [
    ("0", True),
    ("-1", True),
    ("+007", True),
    ("9223372036854775807", True),
    ("9223372036854775808", False),
    ("-9223372036854775808", True),
    ("-9223372036854775809", False),
    ("0" * 5000 + "1", True),
    ("9" * 5000, False),
    ("", False),
    ("-", False),
    ("1_0", False),
    ("0x1", False),
    (" 1", False),
    ("1\n", False),
    ("1.0", False),
    ("\u0661", False),
]


@pytest.mark.parametrize("selector", VALID_LABELS, ids=ascii)
def test_label_selector_is_valid(selector: str) -> None:
    """These are selectors to upstream, however odd."""
    check_label_selector(selector)


@pytest.mark.parametrize("selector", INVALID_LABELS, ids=ascii)
def test_label_selector_is_invalid(selector: str) -> None:
    """These give an error upstream."""
    with pytest.raises(InvalidSelector):
        check_label_selector(selector)


@pytest.mark.parametrize(("selector", "expected"), EXACT)
def test_field_selector_requires_name(selector: str, expected: str | None) -> None:
    """The required value of metadata.name is the one upstream's RequiresExactMatch gives."""

    assert expected == exact_match(selector, "metadata.name")


@pytest.mark.parametrize("selector", INVALID_FIELDS, ids=ascii)
def test_field_selector_is_invalid(selector: str) -> None:
    """These give an error upstream, wherever in the selector the fault is."""
    with pytest.raises(InvalidSelector):
        exact_match(selector, "metadata.name")


@pytest.mark.parametrize(("text", "expected"), INTEGERS)
def test_int64_is_read_as_go_does(text: str, expected: bool) -> None:
    """Base 10, a sign, 64 bits, nothing else."""

    assert expected is is_int64(text)
