"""What a YAML scalar means to the API server: the resolver of go.yaml.in/yaml/v2 as sigs.k8s.io/yaml uses it.

It is neither YAML 1.1 nor 1.2: `yes` and `on` are booleans, `0o17`, `017` and `1_000` integers, `1e3` a number,
`12:30:45`, `2020-01-01` and `=` strings. Mirrors resolve.go and Go's strconv and time.Parse where they matter.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
import struct
from decimal import Decimal
from typing import Any, Final

from kaudit_core.policy.document import Number, Unrepresentable, decode_utf8
from kaudit_core.policy.timestamps import is_yaml_timestamp

_PREFIX: Final = "tag:yaml.org,2002:"
_STR: Final = _PREFIX + "str"
_FLOAT: Final = _PREFIX + "float"
_TIMESTAMP: Final = _PREFIX + "timestamp"
_BINARY: Final = _PREFIX + "binary"
MERGE_TAG: Final = _PREFIX + "merge"
_RESOLVED: Final = frozenset(_PREFIX + name for name in ("str", "bool", "int", "float", "null", "timestamp"))

_HINTED: Final = frozenset("0123456789+-.yYnNtTfFoO~")
"""First characters of everything that can be more than a string."""

_WORDS: Final[dict[str, tuple[str, Any]]] = {
    **{word: ("bool", True) for word in ("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON")},
    **{word: ("bool", False) for word in ("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF")},
    **{word: ("null", None) for word in ("", "~", "null", "Null", "NULL")},
    **{word: ("float", Unrepresentable(".nan")) for word in (".nan", ".NaN", ".NAN")},
    **{
        sign + word: ("float", Unrepresentable(sign + ".inf"))
        for sign in ("", "+", "-")
        for word in (".inf", ".Inf", ".INF")
    },
}

_INTEGER = re.compile(r"[+-]?(?:0[bB][01]+|0[oO][0-7]+|0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)", re.ASCII)
_FLOAT_FORM = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", re.ASCII)
_POINT_FORM = re.compile(r"\.[0-9_]*[0-9][0-9_]*(?:[eE][-+]?[0-9][0-9_]*)?", re.ASCII)
_LOOSE_UNDERSCORE = re.compile(r"(?<![0-9])_|_(?![0-9])", re.ASCII)
_SIGNED_BINARY = re.compile(r"0b[+-][01]+", re.ASCII)
_DIGITS: Final = frozenset("0123456789")
_PLAIN_KEY_DIGITS: Final = 6
"""strconv's %g switches to an exponent here when it may choose the digits."""

_BASES: Final = {"b": 2, "o": 8, "x": 16}


class ScalarError(ValueError):
    """A tag that does not fit its value; the message says so in words for the policy's author."""


def resolve(tag: str, text: str) -> Any:
    """Return the value of a scalar that is plain (tag "") or has a tag: str, bool, None, Number or Unrepresentable."""
    if not tag:
        return text if text and text[0] not in _HINTED else _untagged(text)[1]
    if tag == _BINARY:
        return _binary(text)
    if tag not in _RESOLVED or tag == _STR:
        return text
    if tag == _TIMESTAMP and text[:1] in _DIGITS and is_yaml_timestamp(text):
        return text
    kind: str
    value: Any
    kind, value = _untagged(text) if not text or text[0] in _HINTED else ("str", text)
    if _PREFIX + kind == tag:
        return value
    if tag == _FLOAT and kind == "int" and value.key is not None:
        return _float(float(int(value)))
    name = tag.removeprefix(_PREFIX)
    raise ScalarError(f"the tag !!{name} does not fit the value: remove the tag or correct the value")


def _untagged(text: str) -> tuple[str, Any]:
    word = _WORDS.get(text)
    if word is not None:
        return word
    if text[0] == ".":
        return _point_float(text)
    if text[0] in "0123456789+-":
        return _number(text)
    return "str", text


def _number(text: str) -> tuple[str, Any]:
    plain = text.replace("_", "")
    if _INTEGER.fullmatch(plain):
        value = _go_int(plain)
        if -(2**63) <= value < 2**63:
            return "int", Number(str(value))
        if value < 2**64 and plain[0] not in "+-":
            return "int", Number(str(value), key=None)
    if _FLOAT_FORM.fullmatch(plain):
        number = float(plain)
        # Go reports a number beyond float64 as an error, and the text stays a string.
        if not math.isinf(number):
            return "float", _float(number)
    if _SIGNED_BINARY.fullmatch(plain):
        value = int(plain[2:], 2)
        if -(2**63) <= value < 2**63:
            return "int", Number(str(value))
    return "str", text


def _go_int(text: str) -> int:
    """strconv's base 0: prefixes 0b, 0o, 0x, and a bare leading 0 for octal."""
    sign, digits = (-1 if text[0] == "-" else 1), text.lstrip("+-")
    if len(digits) > 2 and digits[1] in "bBoOxX":
        return sign * int(digits[2:], _BASES[digits[1].lower()])
    # More digits than any 64-bit number has, and more than Python converts at once.
    if len(digits) > 100:
        return sign * 2**70
    return sign * int(digits, 8 if digits[0] == "0" else 10)


def _point_float(text: str) -> tuple[str, Any]:
    if not _POINT_FORM.fullmatch(text) or _LOOSE_UNDERSCORE.search(text):
        return "str", text
    number = float(text.replace("_", ""))
    return ("str", text) if math.isinf(number) else ("float", _float(number))


def _float(number: float) -> Number:
    return Number(json_float(number), key=key_float(number))


def json_float(number: float) -> str:
    """A finite float as Go's encoding/json writes it."""
    if number != 0 and not 1e-6 <= abs(number) < 1e21:
        mantissa, exponent = _scientific(Decimal(repr(number)))
        digits = str(abs(exponent))
        return f"{mantissa}e{'-' if exponent < 0 else '+'}{digits if exponent < 0 else digits.zfill(2)}"
    text = format(Decimal(repr(number)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _scientific(value: Decimal) -> tuple[str, int]:
    sign, digits, _ = value.as_tuple()
    text = "".join(map(str, digits)).rstrip("0") or "0"
    return ("-" if sign else "") + text[0] + ("." + text[1:] if len(text) > 1 else ""), value.adjusted()


def key_float(number: float) -> str:
    """A float as a mapping key: sigs.k8s.io/yaml writes it with the digits of a float32."""
    single = _as_single(number)
    if math.isinf(single):
        return "-.inf" if number < 0 else ".inf"
    if single == 0:
        return "-0" if math.copysign(1, number) < 0 else "0"
    text = next(text for text in (f"{single:.{digits}e}" for digits in range(17)) if _as_single(float(text)) == single)
    value = Decimal(text)
    if -4 <= value.adjusted() < _PLAIN_KEY_DIGITS:
        plain = format(value, "f")
        return plain.rstrip("0").rstrip(".") if "." in plain else plain
    mantissa, exponent = _scientific(value)
    return f"{mantissa}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"


def _as_single(number: float) -> float:
    try:
        return float(struct.unpack("<f", struct.pack("<f", number))[0])
    except OverflowError:
        return math.inf


def _binary(text: str) -> str:
    """Go's strict base64; bytes that are not UTF-8 become U+FFFD on the way to JSON, one each."""
    packed = text.replace("\n", "").replace("\r", "")
    try:
        if not re.fullmatch(r"[A-Za-z0-9+/]*={0,2}", packed, re.ASCII):
            raise ValueError
        data = base64.b64decode(packed, validate=True)
    except (ValueError, binascii.Error):
        raise ScalarError("the tag !!binary needs base64: remove the tag or correct the value") from None
    return decode_utf8(data)
