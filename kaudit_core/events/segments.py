"""Log segments: which files the arguments of a command mean, in which order, and how to read one.

Mirrors the names that the API server's log backend gives (gopkg.in/natefinch/lumberjack.v2): the current file
is `<stem>.log`, a backup `<stem>-2006-01-02T15-04-05.000.log`, with `.gz` when compressed; logrotate's
`<stem>.log.1` are older than both. The files of one stem are a series.
"""

from __future__ import annotations

import io
import os
import re
import stat
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO, Final, NamedTuple

if TYPE_CHECKING:
    from kaudit_core.events.inflate import Inflating

STANDARD_INPUT: Final = "-"

_GZIP: Final = b"\x1f\x8b"
_BUFFER: Final = 256 * 1024
_PATTERN: Final = re.compile(r"[^\0]*[*?\[][^\0]*")
_LOG: Final = re.compile(r"(?P<stem>.+)\.log(?:\.(?P<number>\d{1,3}))?(?P<packed>\.gz)?", re.DOTALL | re.ASCII)
_BACKUP: Final = re.compile(
    r"(?P<stem>.+)-(?P<time>\d{4}-?\d\d-?\d\dT\d\d-?\d\d-?\d\d(?:\.\d{3})?)", re.DOTALL | re.ASCII
)
_LIKE_LOG: Final = re.compile(
    r"\.log(?:[-._~].*)?\Z|\.(?:json|jsonl|ndjson)(?:\.\w+)?\Z|-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d",
    re.DOTALL | re.IGNORECASE,
)


class SegmentError(OSError):
    """A segment can't be found or read: its path, what is wrong and what to do, in one sentence."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One file of a log, or standard input.

    path: as shown; "-" is standard input. compressed: by its name; the content decides when it is opened.
    newest: an unterminated last line is still being written, and no record yet.
    data: what it holds, when it is no file; path is then only a name.
    status: of the file when it was found, if known: another file of the same name is not read.
    """

    path: str
    compressed: bool
    newest: bool
    data: bytes | None = field(default=None, repr=False)
    status: os.stat_result | None = field(default=None, repr=False, compare=False)


class Found(NamedTuple):
    """What arguments mean.

    errors: what can't be read, as a path and a sentence that begins with it. ignored: files of a directory that
    look like logs and are not read, for a warning.
    """

    segments: list[Segment]
    errors: list[tuple[str, str]]
    ignored: list[str]


def find_segments(arguments: Sequence[str]) -> Found:
    """The segments that files, patterns, directories and "-" mean, each file once; never raises.

    Explicit files keep their order. The newest segments are the last of each series in a directory argument and,
    of any other directory that files were named from, the last file named.
    """
    search = _Search()
    for argument in arguments:
        for path in search.expanded(argument):
            search.add(path)
    return search.found()


def open_segment(segment: Segment) -> SegmentStream:
    """The segment's bytes, uncompressed, for use in a with statement; raises SegmentError."""
    if segment.data is not None:
        return SegmentStream(io.BytesIO(segment.data), segment.path)
    try:
        if segment.path == STANDARD_INPUT:
            given = getattr(sys.stdin, "buffer", None)
            if given is None or given.closed:
                raise SegmentError(f"{segment.path}: standard input is closed; redirect a log into it, or name a file")
            return SegmentStream(_own_reader(given), segment.path, keep_open=True)
        return _same(segment, SegmentStream(open(segment.path, "rb", buffering=_BUFFER), segment.path))
    except OSError as error:
        raise unreadable(segment.path, error) from error


def _own_reader(file: BinaryIO) -> BinaryIO:
    """Another reader of a descriptor: Python can't exit while a thread waits in one that it closes by itself."""
    try:
        return open(file.fileno(), "rb", buffering=_BUFFER, closefd=False)
    except io.UnsupportedOperation:
        return file


def _same(segment: Segment, stream: SegmentStream) -> SegmentStream:
    if segment.status and stream.status and not os.path.samestat(segment.status, stream.status):
        stream.close()
        raise SegmentError(f"{segment.path}: another file by now; the log was rotated, so start again")
    return stream


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
        self._errors: tuple[type[Exception], ...] = (OSError,)
        self.status = _status(file)
        self._file: io.BufferedReader[Any] = file if isinstance(file, io.BufferedReader) else io.BufferedReader(file)
        self._source: io.BufferedReader[Any] | Inflating = self._file
        if self._file.peek(2)[:2] == _GZIP:
            from zlib import error as zlib_error

            from kaudit_core.events.inflate import Inflating

            self._source = Inflating(self._file)
            self._errors = (EOFError, OSError, zlib_error)

    def plain_file(self) -> int | None:
        """The descriptor of a regular file that is read as it stands, for readers that read by position."""
        if self._keep_open or self._source is not self._file or not self.status:
            return None
        return self._file.fileno() if stat.S_ISREG(self.status.st_mode) else None

    def check_size(self) -> None:
        """Raise SegmentError if the file is shorter than when it was opened: what was cut off may be unread."""
        now = _status(self._file)
        if self.status and now and now.st_size < self.status.st_size:
            raise SegmentError(f"{self.path}: became shorter while it was read; verify a copy of the log")

    def readable(self) -> bool:
        return True

    def read1(self, size: int, /) -> bytes:
        """The next piece as it comes, for those who keep it: readinto would copy it."""
        if self._failure is None:
            try:
                return self._source.read1(size)
            except self._errors as error:
                self._failure = unreadable(self.path, error)
        raise self._failure

    def readinto(self, buffer: Any, /) -> int:
        piece = self.read1(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        if not self._keep_open and not self.closed:
            self._file.close()
        super().close()


class _Search:
    """Collects what arguments mean, in reading order."""

    def __init__(self) -> None:
        self.shown: dict[str, str] = {}  # real path -> path as shown
        self.last_named: dict[str, str] = {}  # real directory -> real path of the last file named from it
        self.listed: dict[str, set[str]] = {}  # real directory -> real paths of the newest file of each series
        self.visited: set[str] = set()  # real directories
        self.errors: dict[str, str] = {}  # path as shown -> sentence
        self.ignored: dict[str, str] = {}  # real path -> path as shown

    def expanded(self, argument: str) -> Iterable[str]:
        """The names an argument means: itself, or what a pattern matches, in the order of rotation."""
        if argument == STANDARD_INPUT or os.path.lexists(argument) or not _PATTERN.fullmatch(argument):
            return (argument,)
        from glob import glob

        matches = glob(argument, recursive=True)
        if not matches:
            self.errors[argument] = f"{argument}: no file matches this pattern; check the path and quote the pattern"
        return sorted(matches, key=lambda path: (os.path.dirname(path), _rotation_order(os.path.basename(path))))

    def add(self, path: str) -> None:
        if path == STANDARD_INPUT:
            self.shown[path] = self.last_named[path] = path
            return
        try:
            mode = os.stat(path).st_mode
        except (FileNotFoundError, NotADirectoryError, ValueError):
            self.errors[path] = f"{path}: no such file; check the path"
        except OSError as error:
            self.errors[path] = str(unreadable(path, error))
        else:
            if stat.S_ISDIR(mode):
                self._add_directory(path)
            elif (real := os.path.realpath(path)) not in self.shown:
                self.shown[real] = path
                self.last_named[os.path.realpath(os.path.dirname(path))] = real

    def found(self) -> Found:
        named = {real for directory, real in self.last_named.items() if directory not in self.listed}
        newest = named.union(*self.listed.values())
        files = self.shown.items()
        segments = [Segment(path, path.endswith(".gz"), real in newest, None, _status(path)) for real, path in files]
        ignored = [path for real, path in self.ignored.items() if real not in self.shown]
        return Found(segments, list(self.errors.items()), ignored)

    def _add_directory(self, directory: str) -> None:
        if (place := os.path.realpath(directory)) in self.visited:
            return
        self.visited.add(place)
        before = len(self.errors)
        series: dict[str, list[str]] = {}  # stem -> real paths
        names = self._logs(directory)
        for name in sorted(names, key=_rotation_order):
            path = os.path.join(directory, name)
            real = os.path.realpath(path)
            stem, age, *_ = _rotation_order(name)
            if age != _CURRENT and name.endswith(".gz") and name[:-3] in names:
                self.ignored[real] = path  # its compression was interrupted: the plain file is whole
            else:
                series.setdefault(stem, []).append(real)
                self.shown.setdefault(real, path)
        if series:
            self.listed[place] = {files[-1] for files in series.values()}
        elif len(self.errors) == before:
            self.errors[directory] = (
                f"{directory}: no *.log or *.log.gz in this directory; "
                "name the files, or the directory of --audit-log-path"
            )

    def _logs(self, directory: str) -> set[str]:
        """The names in a directory that are to be read; what looks alike is noted."""
        try:
            with os.scandir(directory) as listing:
                entries = [entry for entry in listing if entry.name[0] != "." and _LIKE_LOG.search(entry.name)]
        except OSError as error:
            self.errors[directory] = str(unreadable(directory, error))
            return set()
        names: set[str] = set()
        for entry in sorted(entries, key=lambda entry: entry.name):
            path, wanted = os.path.join(directory, entry.name), _LOG.fullmatch(entry.name) is not None
            try:
                mode = entry.stat().st_mode
            except OSError as error:
                if wanted:
                    missing = isinstance(error, FileNotFoundError) and entry.is_symlink()
                    why = f"{path}: a link to a file that does not exist; check the link"
                    self.errors[path] = why if missing else str(unreadable(path, error))
                continue
            if wanted and stat.S_ISREG(mode):
                names.add(entry.name)
            elif not stat.S_ISDIR(mode):
                self.ignored[os.path.realpath(path)] = path
        return names


_NUMBERED, _BACKED_UP, _CURRENT = range(3)


def _rotation_order(name: str) -> tuple[str, int, int, str, bool, str]:
    """A file name's place among its neighbours: series, kind, high number first, time, .gz before plain."""
    parts = _LOG.fullmatch(name)
    if not parts:
        stem = name.removesuffix(".gz")
        return stem, _CURRENT, 0, "", stem == name, name
    stem, plain = parts["stem"], not parts["packed"]
    if parts["number"]:
        return stem, _NUMBERED, -int(parts["number"]), "", plain, name
    if backup := _BACKUP.fullmatch(stem):
        return backup["stem"], _BACKED_UP, 0, backup["time"].replace("-", ""), plain, name
    return stem, _CURRENT, 0, "", plain, name


def _status(file: str | BinaryIO) -> os.stat_result | None:
    try:
        return os.stat(file if isinstance(file, str) else file.fileno())
    except OSError:  # gone, or without a descriptor
        return None


def unreadable(path: str, error: Exception) -> SegmentError:
    """The sentence for what kept a segment from being read."""
    if isinstance(error, SegmentError):
        return error
    if isinstance(error, PermissionError):
        return SegmentError(f"{path}: permission denied; run as a user who may read it")
    if isinstance(error, FileNotFoundError):
        return SegmentError(f"{path}: no such file any more; it may have been rotated, so start again")
    if isinstance(error, EOFError):
        return SegmentError(f"{path}: the compressed data is cut off; fetch the file again once it is complete")
    if not isinstance(error, OSError) or error.args and error.errno is None:
        return SegmentError(f"{path}: the compressed data is corrupt ({error}); restore the file from another copy")
    reason = getattr(error, "strerror", None) or error
    return SegmentError(f"{path}: {reason}; check the file system and try again")
