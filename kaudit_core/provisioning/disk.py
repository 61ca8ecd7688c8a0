"""Whether a log fits where it is: what it may take against what its file system has for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MEGABYTE: Final = 1024 * 1024


def budget(max_size: int, max_backup: int) -> int | None:
    """The most bytes that a log and its rotated segments take, of a size in MB; None when nothing bounds them."""
    return max_size * MEGABYTE * (max_backup + 1) if max_size and max_backup else None


@dataclass(frozen=True)
class Room:
    """What a file system has for a log, in bytes: free, and taken by the log already; mounted: where it is mounted."""

    free: int
    taken: int
    mounted: str

    @classmethod
    def parse(cls, told: str) -> Room:
        """Read what tasks/room.yml prints."""
        free, taken, mounted = told.strip().split(maxsplit=2)
        return cls(int(free), int(taken), mounted)

    def lack(self, wanted: int) -> str:
        """What is wrong with a log of this size, "" for nothing."""
        room = self.free + self.taken
        if wanted <= room:
            return ""
        return (
            f"the log may take {wanted / 1e6:,.0f} MB (max_size x (max_backup + 1)), and {self.mounted} has"
            f" {room / 1e6:,.0f} MB for it"
        )
