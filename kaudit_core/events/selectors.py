"""What the request-info rules need of label and field selectors: are they valid, and which name do they ask for.

Mirrors labels.Parse and fields.ParseSelector of k8s.io/apimachinery. Values are never matched against objects here.
The grammars are the same in Kubernetes 1.22 to 1.37 but for one corner, read here as in 1.35: up to 1.29 a value
list that ends in two commas, like `a in (x,,)`, was refused, and all list options were lost with it.
"""

from __future__ import annotations

import re
from typing import Final

INT64_MAX: Final = 2**63 - 1
DNS_SUBDOMAIN_LENGTH: Final = 253
LABEL_LENGTH: Final = 63

_INTEGER = re.compile(r"([+-]?)([0-9]+)")
_DNS_LABEL = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"
_DNS_SUBDOMAIN = re.compile(rf"{_DNS_LABEL}(?:\.{_DNS_LABEL})*")
_LABEL_NAME = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?")
# A NUL ends the token it follows and is swallowed; where a token should begin it ends the whole selector.
_LABEL_TOKEN = re.compile(r"[ \t\r\n]*(?:(==|!=|[=!(),<>])|([^ \t\r\n=!(),<>\x00]+))\x00?")
_BINARY_OPERATORS = frozenset(("in", "notin", "=", "==", "!=", ">", "<"))
_END = ""

_FIELD_TERM = re.compile(r"(?:[^\\,]|\\.|\\\Z)+", re.DOTALL)
_FIELD_OPERATOR = re.compile(r"!=|==|=")
_FIELD_VALUE = re.compile(r"(?:[^\\,=]|\\[\\,=])*")
_BARE_FIELD_VALUE = re.compile(r"[^\\,=]*")
_ESCAPED = re.compile(r"\\(.)")
_STRAY_BYTE = re.compile("[\udc80-\udcff]")


class InvalidSelector(ValueError):
    """A selector that the API server refuses."""


def is_int64(text: str) -> bool:
    """Whether Go's ParseInt(text, 10, 64) takes it: ASCII digits, perhaps a sign, within 64 bits."""
    found = _INTEGER.fullmatch(text)
    digits = found[2].lstrip("0") if found else ""
    if not found or len(digits) > len(str(INT64_MAX)):
        return False
    return int(digits or "0") <= INT64_MAX + (found[1] == "-")


def check_label_selector(selector: str) -> None:
    """Raise InvalidSelector where labels.Parse gives an error; "" is valid and selects everything."""
    _LabelSelector(selector).check()


def exact_match(selector: str, field: str) -> str | None:
    """The value a field selector requires of a field, or None; raises InvalidSelector.

    The terms are looked through in sorted order, so of two required values the lesser one is given.
    """
    found: str | None = None
    for term in sorted(_FIELD_TERM.findall(selector), key=lambda term: term.encode(errors="surrogateescape")):
        operator = _FIELD_OPERATOR.search(term)
        if not operator:
            raise InvalidSelector("A term of the field selector has no operator.")
        value = _field_value(term[operator.end() :])
        if found is None and operator[0] != "!=" and term[: operator.start()] == field:
            found = value
    return found


def _field_value(text: str) -> str:
    if _BARE_FIELD_VALUE.fullmatch(text):
        return text
    if not _FIELD_VALUE.fullmatch(text):
        raise InvalidSelector("A value of the field selector is escaped wrongly.")
    # Upstream unescapes rune by rune, which turns every byte that is not UTF-8 into U+FFFD - but only here.
    return _STRAY_BYTE.sub("\ufffd", _ESCAPED.sub(r"\1", text))


class _LabelSelector:
    """One label selector on its way through the grammar, token by token; _END is the last."""

    def __init__(self, selector: str) -> None:
        self._tokens: list[str] = []
        self._next = 0
        position = 0
        while found := _LABEL_TOKEN.match(selector, position):
            self._tokens.append(found[1] or found[2])
            position = found.end()
        self._tokens.append(_END)

    def check(self) -> None:
        if self._ahead() == _END:
            return
        self._requirement()
        while (token := self._take()) == ",":
            self._requirement()
        if token != _END:
            raise InvalidSelector("A requirement of the label selector is followed by neither a comma nor the end.")

    def _ahead(self) -> str:
        return self._tokens[self._next]

    def _take(self) -> str:
        token = self._ahead()
        self._next += 1
        return token

    def _requirement(self) -> None:
        token = self._take()
        negated = token == "!"
        _check_label_key(self._take() if negated else token)
        if negated or self._ahead() in (",", _END):
            return
        operator = self._take()
        if operator not in _BINARY_OPERATORS:
            raise InvalidSelector("A key of the label selector is followed by no operator.")
        if operator in ("in", "notin"):
            self._value_list()
        else:
            self._exact_value(must_be_integer=operator in ("<", ">"))

    def _exact_value(self, *, must_be_integer: bool) -> None:
        value = "" if self._ahead() in (",", _END) else self._take()
        _check_label_value(value)
        if must_be_integer and not is_int64(value):
            raise InvalidSelector("A bound in the label selector is no 64-bit integer.")

    def _value_list(self) -> None:
        """Values in parentheses: none may be missing or empty, but two never stand side by side."""
        if self._take() != "(":
            raise InvalidSelector("A set operator of the label selector is followed by no parenthesis.")
        previous = ","
        while (token := self._take()) != ")":
            if token == _END:
                raise InvalidSelector("A value list of the label selector is not closed.")
            if token != ",":
                _check_label_value(token)
                if previous != ",":
                    raise InvalidSelector("Two values of the label selector have no comma between them.")
            previous = token


def _check_label_key(key: str) -> None:
    """A name, or a DNS subdomain, a slash and a name. Operators and _END fall out here: they are no names."""
    prefix, slash, name = key.rpartition("/")
    if slash and not (len(prefix) <= DNS_SUBDOMAIN_LENGTH and _DNS_SUBDOMAIN.fullmatch(prefix)):
        raise InvalidSelector("The prefix of a label key is no DNS subdomain.")
    if not (len(name) <= LABEL_LENGTH and _LABEL_NAME.fullmatch(name)):
        raise InvalidSelector("The name of a label key is malformed.")


def _check_label_value(value: str) -> None:
    """Empty, or like a name; "in" and "notin" are ordinary values."""
    if value and not (len(value) <= LABEL_LENGTH and _LABEL_NAME.fullmatch(value)):
        raise InvalidSelector("A value of the label selector is malformed.")
