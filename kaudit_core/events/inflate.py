"""Inflating .gz segments: with isal where the extra `fast` is installed, two to three times as fast, else with zlib.

Both check every member's checksum and length. isal loses what it inflated just before the data breaks, so where it
fails the file is read once more with zlib, which has the last word and the words. KAUDIT_INFLATE=zlib leaves isal out.
"""

from __future__ import annotations

import os
from gzip import GzipFile
from typing import Any, Final

_SKIPPED: Final = 1 << 20


class Inflating:
    """The text of all members of a file."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._delivered = 0
        fast = _isal() if os.environ.get("KAUDIT_INFLATE") != "zlib" and file.seekable() else None
        self._begin = file.tell() if fast else 0
        self._careful = fast is None
        self._reader: GzipFile = (fast or GzipFile)(fileobj=file, mode="rb")

    def read1(self, size: int) -> bytes:
        """The next piece; b"" is the end. Raises EOFError, OSError and zlib.error for data that is cut or damaged."""
        if self._careful:
            return self._reader.read1(size)
        try:
            piece = self._reader.read1(size)
        except Exception:
            self._read_again()
            return self._reader.read1(size)
        self._delivered += len(piece)
        return piece

    def _read_again(self) -> None:
        self._careful = True
        self._file.seek(self._begin)
        self._reader = GzipFile(fileobj=self._file, mode="rb")
        left = self._delivered
        while left:
            left -= len(self._reader.read1(min(left, _SKIPPED)))


def _isal() -> type[GzipFile] | None:
    try:
        from isal.igzip import IGzipFile
    except ImportError:
        return None
    reader: type[GzipFile] = IGzipFile
    return reader
