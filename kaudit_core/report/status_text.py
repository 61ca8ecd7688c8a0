"""The state of all masters, for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kaudit_core.report.escaping import visible
from kaudit_core.report.summary_text import size_text
from kaudit_core.report.table import table_text


def status_text(masters: Sequence[Mapping[str, Any]], differing: Sequence[str] = ()) -> str:
    """A table of the masters, what has drifted on each, and what the masters of one cluster don't have in common."""
    rows = [
        (
            each["master"],
            each["auditing"],
            each["policy"][:12] or "-",
            each["since"].replace("T", " ").removesuffix("Z") or "-",
            "-" if each["log_bytes"] is None else size_text(each["log_bytes"]),
            visible(each.get("receiver") or "-", 200),
            f"{len(each['drift'])} found" if each["drift"] else "none",
        )
        for each in masters
    ]
    columns = ("MASTER", "AUDITING", "POLICY", "SINCE (UTC)", "LOG", "RECEIVER", "DRIFT")
    text = table_text(columns, rows, right=(4,))
    sentences = [f"  {each['master']}: {visible(found, 400)}\n" for each in masters for found in each["drift"]]
    sentences += [f"  {visible(found, 400)}\n" for found in differing]
    return text + ("\n" + "".join(sentences) if sentences else "")
