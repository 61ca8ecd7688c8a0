"""What can be read of a segment: compressed or not, broken, a pipe, standard input."""

from __future__ import annotations

import gzip
import io
import subprocess
import sys
from itertools import accumulate, pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaudit_core.events.records import Record, read_records
from kaudit_core.events.segments import Segment, SegmentError, SegmentStream, open_segment

LINE = b'{"level":"Metadata","stage":"Panic","requestURI":"/"}\n'


def content(path: str) -> bytes:
    with open_segment(Segment(path, False, False)) as stream:
        return b"".join(iter(lambda: stream.read(1000) or b"", b""))


@pytest.mark.parametrize(
    ("path", "message"),
    [
        pytest.param("gone.log", "gone.log: no such file any more; ", id="rotated-away"),
        pytest.param(".", ".: Is a directory; ", id="directory"),
    ],
)
def test_opening_names_the_file_and_the_reason(directory: Path, path: str, message: str) -> None:
    """What changed since the segments were found is an error of the same kind."""
    with pytest.raises(SegmentError) as caught:
        open_segment(Segment(path, False, True))

    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("name", "stored", "text"),
    [
        pytest.param("a.log", LINE, LINE, id="plain"),
        pytest.param("a.log", b"", b"", id="empty"),
        pytest.param("a.log", b"x", b"x", id="one-byte"),
        pytest.param("a.log.gz", gzip.compress(LINE), LINE, id="gzip"),
        pytest.param("a.log", gzip.compress(LINE), LINE, id="gzip-without-the-name"),
        pytest.param("a.log.gz", LINE, LINE, id="plain-with-the-name-of-gzip"),
        pytest.param("a.log.gz", b"", b"", id="empty-with-the-name-of-gzip"),
        pytest.param("a.log.gz", gzip.compress(b""), b"", id="gzip-of-nothing"),
        pytest.param(
            "a.log.gz",
            gzip.compress(LINE[:9]) + gzip.compress(b"") + gzip.compress(LINE[9:]),
            LINE,
            id="several-members",
        ),
        pytest.param("a.log.gz", gzip.compress(LINE) + b"\0" * 512, LINE, id="padded-with-zeros"),
        pytest.param("a.log.gz", gzip.compress(LINE * 99_999, 1), LINE * 99_999, id="larger-than-any-buffer"),
    ],
)
def test_content_decides_what_is_compressed(directory: Path, name: str, stored: bytes, text: bytes) -> None:
    """Gzip is seen from its first bytes, whatever the name says."""
    Path(name).write_bytes(stored)

    assert text == content(name)


LINES = b"".join(b'{"level":"None","stage":"Panic","requestURI":"/%d"}\n' % number for number in range(20_000))
PACKED = gzip.compress(LINES, 1)


@pytest.mark.parametrize(
    ("stored", "complete", "message"),
    [
        pytest.param(PACKED[: len(PACKED) // 2], None, "the compressed data is cut off; ", id="cut-in-the-data"),
        pytest.param(PACKED[:-4], 20_000, "the compressed data is cut off; ", id="cut-in-the-trailer"),
        pytest.param(PACKED[:5], 0, "the compressed data is cut off; ", id="cut-in-the-header"),
        pytest.param(b"\x1f\x8b", 0, "the compressed data is cut off; ", id="first-bytes-alone"),
        pytest.param(PACKED[:-8] + b"\0" * 8, 20_000, "the compressed data is corrupt (CRC", id="wrong-checksum"),
        pytest.param(PACKED + b"garbage", 20_000, "the compressed data is corrupt (Not a gz", id="garbage-behind"),
        pytest.param(PACKED + PACKED[:4], 20_000, "the compressed data is cut off; ", id="second-member-cut"),
        pytest.param(b"\x1f\x8b\x07" + PACKED[3:], 0, "the compressed data is corrupt (Unknown", id="unknown-method"),
        pytest.param(PACKED[:10] + b"\xff" * 99, 0, "the compressed data is corrupt (Error -3", id="no-deflate-data"),
    ],
)
@pytest.mark.parametrize("newest", [False, True], ids=["older", "newest"])
def test_broken_gzip_gives_the_records_before_the_break(
    directory: Path, stored: bytes, complete: int | None, message: str, newest: bool
) -> None:
    """Every line that can be decompressed is a record, a cut one is torn, and then the error comes."""
    Path("a.log.gz").write_bytes(stored)
    found: list[Record] = []

    with open_segment(Segment("a.log.gz", True, newest)) as stream, pytest.raises(SegmentError) as caught:
        for record in read_records(stream, newest=newest):
            assert isinstance(record, Record)
            found.append(record)

    assert str(caught.value).startswith(f"a.log.gz: {message}")
    torn = [record.code for record in found if record.event is None]
    assert (["torn"] if complete is None else []) == torn
    assert complete in (None, len(found))
    assert len(found) > 1000 or complete == 0


def test_broken_segment_stays_broken(directory: Path) -> None:
    """Reading on after the error gives the same error, never silence."""
    Path("a.log.gz").write_bytes(PACKED[:5])
    with open_segment(Segment("a.log.gz", True, False)) as stream:
        for _ in range(3):
            with pytest.raises(SegmentError, match="cut off"):
                stream.read(10)


def test_failing_device_is_a_segment_error() -> None:
    """An error of the file system while reading names the segment."""
    process_memory = Segment("/proc/self/mem", False, False)

    with pytest.raises(SegmentError, match=r"^/proc/self/mem: Input/output error; "):
        content(process_memory.path)


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=4), st.integers(0, 400))
def test_cut_gzip_gives_a_beginning_of_the_text(text: bytes, cuts: list[int], end: int) -> None:
    """Members in a row are one text; of a cut file the beginning is read, and without an error only whole members."""
    bounds = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    members = [gzip.compress(text[begin:end]) for begin, end in pairwise(bounds)]
    stored = b"".join(members)[: max(2, end)]
    got, whole = b"", True
    with SegmentStream(io.BytesIO(stored), "x.gz") as stream:
        try:
            while piece := stream.read(64):
                got += piece
        except SegmentError:
            whole = False

    assert text.startswith(got)
    ends = list(accumulate(map(len, members)))
    assert whole == (len(stored) in ends)
    assert not whole or text[: bounds[ends.index(len(stored)) + 1]] == got


@pytest.mark.parametrize("stored", [LINE, gzip.compress(LINE)], ids=["plain", "gzip"])
def test_standard_input_is_read_and_left_open(monkeypatch: pytest.MonkeyPatch, stored: bytes) -> None:
    """Standard input may be compressed as well, and belongs to somebody else."""
    given_input = io.BufferedReader(io.BytesIO(stored))
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=given_input))

    assert LINE == content("-")
    assert not given_input.closed


def test_standard_input_may_be_any_binary_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that puts its own bytes in place of standard input is served too."""
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(LINE)))

    assert LINE == content("-")


@pytest.mark.parametrize("given_input", [None, SimpleNamespace(buffer=None)], ids=["none", "no-bytes"])
def test_closed_standard_input_is_a_segment_error(monkeypatch: pytest.MonkeyPatch, given_input: object) -> None:
    """A process started without standard input has none to read."""
    monkeypatch.setattr(sys, "stdin", given_input)

    with pytest.raises(SegmentError, match=r"^-: standard input is closed; "):
        content("-")


def test_standard_input_that_was_closed_is_a_segment_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that closed its standard input gets a sentence too."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(LINE)))
    sys.stdin.close()

    with pytest.raises(SegmentError, match=r"^-: standard input is closed; "):
        content("-")


def test_live_pipe_gives_each_line_when_it_is_written() -> None:
    """Nothing waits for a buffer to be full: a record is there as soon as its line is."""
    program = (
        "import sys\n"
        "from kaudit_core.events.records import read_records\n"
        "from kaudit_core.events.segments import find_segments, open_segment\n"
        "with open_segment(find_segments(['-']).segments[0]) as stream:\n"
        "    for record in read_records(stream, newest=True):\n"
        "        print(record.line, flush=True)\n"
    )
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin and process.stdout
        for _ in range(3):
            process.stdin.write(LINE)
            process.stdin.flush()
            assert process.stdout.readline()
        process.stdin.close()

    assert 0 == process.returncode
