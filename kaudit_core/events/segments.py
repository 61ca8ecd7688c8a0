"""Log segments: which files the arguments of a command mean, in which order, and how to read one.

Mirrors the names that the API server's log backend gives (gopkg.in/natefinch/lumberjack.v2): the current file
is `<stem>.log`, a backup `<stem>-2006-01-02T15-04-05.000.log`, with `.gz` when compressed. The files of one
stem are a series.
"""

from __future__ import annotations

import io
import os
import re
import sys
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Final

if TYPE_CHECKING:
    import gzip

STANDARD_INPUT: Final = "-"

_GZIP: Final = b"\x1f\x8b"
_BUFFER: Final = 256 * 1024
_PATTERN: Final = re.compile(r"[*?\[]")
_BACKUP: Final = re.compile(r"(?P<stem>.+)-(?P<time>\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3})", re.DOTALL | re.ASCII)


class SegmentError(OSError):
    """A segment can't be found or read: its path, what is wrong and what to do, in one sentence."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One file of a log, or standard input.

    path: as shown; "-" is standard input. compressed: by its name; the content decides when it is opened.
    newest: an unterminated last line is still being written, and no record yet.
    """

    path: str
    compressed: bool
    newest: bool


def find_segments(arguments: Sequence[str]) -> list[Segment]:
    """The segments that files, patterns, directories and "-" mean, each file once; raises SegmentError.

    Explicit files keep their order. The newest segments are the last of each series in a directory argument and,
    of any other directory that files were named from, the last file named.
    """
    shown: dict[str, str] = {}  # real path -> path as shown, in reading order
    last_named: dict[str, str] = {}  # real directory -> real path of the last file named from it
    listed: dict[str, set[str]] = {}  # real directory -> real paths of the newest file of each series
    for path in (path for argument in arguments for path in _expanded(argument)):
        if path == STANDARD_INPUT:
            shown[path] = last_named[path] = path
        elif os.path.isdir(path):
            series = _directory_series(path)
            listed[os.path.realpath(path)] = {os.path.realpath(files[-1]) for files in series}
            for file in (file for files in series for file in files):
                shown.setdefault(os.path.realpath(file), _checked(file))
        elif (real := os.path.realpath(path)) not in shown:
            shown[real] = _checked(path)
            last_named[os.path.realpath(os.path.dirname(path))] = real
    newest = {real for directory, real in last_named.items() if directory not in listed}.union(*listed.values())
    return [Segment(path, path.endswith(".gz"), real in newest) for real, path in shown.items()]


def open_segment(segment: Segment) -> SegmentStream:
    """The segment's bytes, uncompressed, for use in a with statement; raises SegmentError."""
    try:
        if segment.path == STANDARD_INPUT:
            return SegmentStream(sys.stdin.buffer, segment.path, keep_open=True)
        return SegmentStream(open(segment.path, "rb", buffering=_BUFFER), segment.path)
    except OSError as error:
        raise _unreadable(segment.path, error) from error


class SegmentStream(io.RawIOBase):
    """Uncompressed bytes of one segment, to be read in pieces with read(size): a piece may be short, b"" is the end.

    Whether it is gzip is seen from the first two bytes; several members in a row are one text. A piece that was
    read is never lost to an error behind it: SegmentError comes with the next read.
    """

    def __init__(self, file: BinaryIO, path: str, keep_open: bool = False) -> None:
        super().__init__()
        self.path = path
        self._keep_open = keep_open
        self._failure: SegmentError | None = None
        self._file: io.BufferedReader[Any] = file if isinstance(file, io.BufferedReader) else io.BufferedReader(file)
        self._source: io.BufferedReader[Any] | gzip.GzipFile = self._file
        if self._file.peek(2)[:2] == _GZIP:
            from gzip import GzipFile

            self._source = GzipFile(fileobj=self._file, mode="rb")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        if self._failure is None:
            try:
                piece = self._source.read1(len(buffer))
            except (EOFError, zlib.error, OSError) as error:
                self._failure = _unreadable(self.path, error)
            else:
                buffer[: len(piece)] = piece
                return len(piece)
        raise self._failure

    def close(self) -> None:
        if not self._keep_open and not self.closed:
            self._file.close()
        super().close()


def _expanded(argument: str) -> Iterable[str]:
    """The names an argument means: itself, or what a pattern matches, in the order of rotation."""
    if argument == STANDARD_INPUT or os.path.lexists(argument) or not _PATTERN.search(argument):
        return (argument,)
    from glob import glob

    matches = glob(argument, recursive=True)
    if not matches:
        raise SegmentError(f"{argument}: no file matches this pattern; check the path and quote the pattern")
    return sorted(matches, key=lambda path: (os.path.dirname(path), _rotation_order(os.path.basename(path))))


def _directory_series(directory: str) -> list[list[str]]:
    """The logs of a directory: one list for each series, none of them empty."""
    try:
        with os.scandir(directory) as entries:
            names = {entry.name for entry in entries if not entry.name.startswith(".") and entry.is_file()}
    except OSError as error:
        raise _unreadable(directory, error) from error
    series: dict[str, list[str]] = {}
    for name in sorted(names, key=_rotation_order):
        # A backup whose compression was interrupted exists twice; the server starts again from the plain file.
        interrupted = name.endswith(".log.gz") and name[:-3] in names and _BACKUP.fullmatch(name[:-7])
        if name.endswith((".log", ".log.gz")) and not interrupted:
            series.setdefault(_rotation_order(name)[0], []).append(os.path.join(directory, name))
    if not series:
        raise SegmentError(
            f"{directory}: no *.log or *.log.gz in this directory; name the files, or the directory of --audit-log-path"
        )
    return list(series.values())


def _rotation_order(name: str) -> tuple[str, bool, str, bool]:
    """A file name's place among its neighbours: series, backups before the current file, time, .gz before plain."""
    plain = name.removesuffix(".gz")
    stem = plain.removesuffix(".log")
    backup = _BACKUP.fullmatch(stem) if stem != plain else None
    return (backup["stem"], False, backup["time"], plain == name) if backup else (stem, True, "", plain == name)


def _checked(path: str) -> str:
    """The path, if it can be opened: better now than after an hour of reading others."""
    if not os.path.exists(path):
        raise SegmentError(f"{path}: no such file; check the path")
    if not os.access(path, os.R_OK):
        raise SegmentError(f"{path}: permission denied; run as a user who may read it")
    return path


def _unreadable(path: str, error: Exception) -> SegmentError:
    if isinstance(error, SegmentError):
        return error
    if isinstance(error, PermissionError):
        return SegmentError(f"{path}: permission denied; run as a user who may read it")
    if isinstance(error, FileNotFoundError):
        return SegmentError(f"{path}: no such file any more; it may have been rotated, so start again")
    if isinstance(error, EOFError):
        return SegmentError(f"{path}: the compressed data is cut off; fetch the file again once it is complete")
    if isinstance(error, zlib.error) or error.args and getattr(error, "errno", None) is None:
        return SegmentError(f"{path}: the compressed data is corrupt ({error}); restore the file from another copy")
    reason = getattr(error, "strerror", None) or error
    return SegmentError(f"{path}: {reason}; check the file system and try again")
