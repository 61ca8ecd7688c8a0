"""Which texts Go's time.Parse accepts, for the few layouts that matter to a policy."""

from __future__ import annotations

import re

_CLOCK = r"(?P<hour>\d{1,2}):(?P<minute>\d{1,2}):(?P<second>\d{1,2})(?:[.,]\d+)?"
_ZONE = r"(?:Z|[+-](?P<zone_hour>\d\d):(?P<zone_minute>\d\d))"
_YAML_FORMS = (
    re.compile(rf"(?P<year>\d{{4}})-(?P<month>\d{{1,2}})-(?P<day>\d{{1,2}})[Tt]{_CLOCK}{_ZONE}", re.ASCII),
    re.compile(rf"(?P<year>\d{{4}})-(?P<month>\d{{1,2}})-(?P<day>\d{{1,2}}) +{_CLOCK}", re.ASCII),
    re.compile(r"(?P<year>\d{4})-(?P<month>\d{1,2})-(?P<day>\d{1,2})", re.ASCII),
)
_RFC3339 = re.compile(
    rf"(?P<year>\d{{4}})-(?P<month>\d\d)-(?P<day>\d\d)T"
    rf"(?P<hour>\d{{1,2}}):(?P<minute>\d\d):(?P<second>\d\d)(?:[.,]\d+)?{_ZONE}",
    re.ASCII,
)
_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_LIMITS = {"hour": 23, "minute": 59, "second": 59, "zone_hour": 24, "zone_minute": 60}


def is_yaml_timestamp(text: str) -> bool:
    """What the tag !!timestamp accepts."""
    return any(_is_real(form.fullmatch(text)) for form in _YAML_FORMS)


def is_rfc3339(text: str) -> bool:
    """What a timestamp in metadata accepts."""
    return _is_real(_RFC3339.fullmatch(text))


def _is_real(match: re.Match[str] | None) -> bool:
    if match is None:
        return False
    parts = {name: int(value) for name, value in match.groupdict().items() if value is not None}
    if any(parts.get(name, 0) > limit for name, limit in _LIMITS.items()):
        return False
    year, month, day = parts["year"], parts["month"], parts["day"]
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return 1 <= month <= 12 and 1 <= day <= _DAYS[month - 1] + (leap and month == 2)
