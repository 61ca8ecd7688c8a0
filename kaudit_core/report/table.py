"""Tables of text: as wide as what is in them."""

from __future__ import annotations

from collections.abc import Sequence

from kaudit_core.report.escaping import visible


def table_text(head: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Lines with a newline each; `right`: columns of numbers. The last column may be as long as it likes."""
    shown = [list(head), *([visible(cell, 400) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in shown) for column in range(len(head))]
    lines = []
    for row in shown:
        cells = [
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  " + "  ".join(cells).rstrip())
    return "\n".join(lines) + "\n"
