"""What an API server counts of its own events, from its metrics."""

from __future__ import annotations

import re
from typing import Final

_SAMPLE: Final = re.compile(r"^apiserver_audit_(event|error)_total(?:\{[^}\n]*\})? ([0-9.eE+]+)$", re.MULTILINE)


def audit_counters(metrics: str) -> dict[str, int]:
    """Events given to backends, and events that a backend lost: each loses them for itself, by its own name."""
    counts = {"event": 0, "error": 0}
    for name, value in _SAMPLE.findall(metrics):
        counts[name] += int(float(value))
    return {"events": counts["event"], "errors": counts["error"]}
