"""The state of all masters, for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kaudit_core.report.escaping import visible
from kaudit_core.report.table import table_text


def status_text(masters: Sequence[Mapping[str, Any]]) -> str:
    """A table of the masters, and what differs on each."""
    rows = [
        (
            each["master"],
            each["auditing"],
            each["policy"][:12] or "-",
            each["since"].replace("T", " ").removesuffix("Z") or "-",
            visible(each.get("receiver") or "-", 200),
            f"{len(each['drift'])} found" if each["drift"] else "none",
        )
        for each in masters
    ]
    text = table_text(("MASTER", "AUDITING", "POLICY", "SINCE (UTC)", "RECEIVER", "DRIFT"), rows)
    sentences = [f"  {each['master']}: {visible(found, 400)}\n" for each in masters for found in each["drift"]]
    return text + ("\n" + "".join(sentences) if sentences else "")
