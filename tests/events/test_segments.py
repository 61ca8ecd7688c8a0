"""segments: which files the arguments mean, in which order, and what can be read of them."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import sys
from collections.abc import Iterator
from itertools import accumulate, pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaudit_core.events.records import Record, read_records
from kaudit_core.events.segments import Segment, SegmentError, SegmentStream, find_segments, open_segment

BACKUPS = (
    "audit-2026-01-02T03-04-05.678.log.gz",
    "audit-2026-01-02T03-04-05.679.log",
    "audit-2026-02-01T00-00-00.000.log",
)
LINE = b'{"level":"Metadata","stage":"Panic","requestURI":"/"}\n'


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory that is the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def fill(*names: str) -> None:
    for name in names:
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(LINE)


def paths(*arguments: str) -> list[str]:
    return [segment.path for segment in find_segments(arguments).segments]


def newest(*arguments: str) -> list[str]:
    return [segment.path for segment in find_segments(arguments).segments if segment.newest]


def content(path: str) -> bytes:
    with open_segment(Segment(path, False, False)) as stream:
        return b"".join(iter(lambda: stream.read(1000) or b"", b""))


def test_directory_is_read_in_the_order_of_rotation(directory: Path) -> None:
    """Backups come in time order, compressed or not, the current file last."""
    fill(*(f"logs/{name}" for name in ("audit.log", *reversed(BACKUPS))))

    assert [f"logs/{name}" for name in (*BACKUPS, "audit.log")] == paths("logs")
    assert ["logs/audit.log"] == newest("logs")


def test_directory_with_several_stems_holds_several_series(directory: Path) -> None:
    """Each series is read by itself and has its own newest file."""
    fill("logs/b.log", "logs/audit.log", "logs/b-2026-01-01T00-00-00.000.log", f"logs/{BACKUPS[1]}")

    assert [
        f"logs/{BACKUPS[1]}",
        "logs/audit.log",
        "logs/b-2026-01-01T00-00-00.000.log",
        "logs/b.log",
    ] == paths("logs")
    assert ["logs/audit.log", "logs/b.log"] == newest("logs")


def test_last_backup_is_newest_where_there_is_no_current_file(directory: Path) -> None:
    """Collected backups alone have a newest file too."""
    fill(*(f"logs/{name}" for name in BACKUPS))

    assert [f"logs/{BACKUPS[-1]}"] == newest("logs")


def test_compressed_current_file_comes_before_the_current_file(directory: Path) -> None:
    """A file somebody compressed by hand is older than the one being written."""
    fill("logs/audit.log", "logs/audit.log.gz")

    assert ["logs/audit.log.gz", "logs/audit.log"] == paths("logs")


def test_interrupted_compression_is_read_once(directory: Path) -> None:
    """While a backup is being compressed both files exist; the plain one is complete."""
    fill("logs/audit.log", f"logs/{BACKUPS[1]}", f"logs/{BACKUPS[1]}.gz", "logs/audit.log.1", "logs/audit.log.1.gz")

    assert ["logs/audit.log.1", f"logs/{BACKUPS[1]}", "logs/audit.log"] == paths("logs")
    assert ["logs/audit.log.1.gz", f"logs/{BACKUPS[1]}.gz"] == find_segments(["logs"]).ignored


def test_numbered_logs_are_older_than_backups(directory: Path) -> None:
    """Logrotate counts upwards with age, by number and not by letter."""
    names = ["audit.log.10.gz", "audit.log.9", "audit.log.1", BACKUPS[1], "audit.log", "b.log.2"]
    fill(*(f"logs/{name}" for name in names))

    assert [f"logs/{name}" for name in names] == paths("logs")
    assert ["logs/audit.log", "logs/b.log.2"] == newest("logs")
    assert [f"logs/{name}" for name in names] == paths("logs/*")


def test_backups_with_other_times_are_in_time_order(directory: Path) -> None:
    """Milliseconds and the marks between the digits may be missing."""
    names = [
        "audit-2026-01-01T00-00-00.log",
        "audit-2026-01-01T00-00-00.500.log",
        "audit-20260101T000001.log.gz",
        "audit-2026-01-01T00-00-02.000.log",
        "audit-20260101T000002.001.log",
        "audit.log",
    ]
    fill(*(f"logs/{name}" for name in names))

    assert [f"logs/{name}" for name in names] == paths("logs")
    assert ["logs/audit.log"] == newest("logs")


@pytest.mark.parametrize(
    "name",
    [
        "audit-2026.log",
        "audit-2026-99-99T99-99-99.999.log",
        "audit-2026-01-01T00-00-00.log",
        "-2026-01-01T00-00-00.000.log",
        "audit-\N{ARABIC-INDIC DIGIT TWO}026-01-01T00-00-00.000.log",
        "audit\n.log",
        "a b.log",
        "audit.log.log.gz",
    ],
    ids=ascii,
)
def test_odd_name_is_a_log_like_any_other(directory: Path, name: str) -> None:
    """A name that is no backup's is read as a series of its own or as a backup, never skipped."""
    fill("logs/audit.log", f"logs/{name}")

    assert {"logs/audit.log", f"logs/{name}"} == set(paths("logs"))


def test_directory_leaves_other_files_alone(directory: Path) -> None:
    """Only logs by name are read: no hidden files, no other endings, no directories."""
    fill("logs/audit.log", "logs/.hidden.log", "logs/.x.json", "logs/policy.yaml", "logs/x.log/deep.log", "logs/a.gz")

    assert ([Segment("logs/audit.log", False, True)], [], []) == find_segments(["logs"])


def test_explicit_files_keep_their_order(directory: Path) -> None:
    """Named files are read as named, whatever they are called; the last of each directory is the newest."""
    fill("a/2.log", "a/1.txt", "b/x.log.gz")

    assert ["a/2.log", "b/x.log.gz", "a/1.txt"] == paths("a/2.log", "b/x.log.gz", "a/1.txt")
    assert ["b/x.log.gz", "a/1.txt"] == newest("a/2.log", "b/x.log.gz", "a/1.txt")


def test_directory_decides_what_is_newest_in_it(directory: Path) -> None:
    """A backup named beside its directory is not the file being written."""
    fill("logs/audit.log", f"logs/{BACKUPS[1]}")

    assert ["logs/audit.log"] == newest(f"logs/{BACKUPS[1]}", "logs")


def test_compressed_follows_the_name(directory: Path) -> None:
    """Before a file is opened its name says whether it is compressed."""
    fill("a.log", "a.log.gz")

    assert [False, True] == [segment.compressed for segment in find_segments(["a.log", "a.log.gz"]).segments]


def test_pattern_is_expanded_in_the_order_of_rotation(directory: Path) -> None:
    """A quoted pattern means what it matches, backups before the current file."""
    fill("m1/audit.log", f"m1/{BACKUPS[1]}", "m2/audit.log")

    assert [f"m1/{BACKUPS[1]}", "m1/audit.log", "m2/audit.log"] == paths("m*/*.log")
    assert ["m1/audit.log", "m2/audit.log"] == newest("m*/*.log")
    assert paths("m*/*.log") == paths("**/*.log")


def test_pattern_may_match_directories(directory: Path) -> None:
    """A directory that a pattern matches is read as a directory."""
    fill("m1/audit.log", "m2/audit.log", "m2/notes.txt")

    assert ["m1/audit.log", "m2/audit.log"] == paths("m*")


def test_file_whose_name_looks_like_a_pattern_is_that_file(directory: Path) -> None:
    """A name that exists is never a pattern."""
    fill("a[1].log", "a1.log")

    assert ["a[1].log"] == paths("a[1].log")


def test_file_is_read_once_however_often_it_is_given(directory: Path) -> None:
    """Directly, through a directory, a pattern or a link: one file is one segment, under its first name."""
    fill("logs/audit.log", f"logs/{BACKUPS[1]}")
    os.symlink("logs", "link")
    os.symlink("logs/audit.log", "current.log")

    assert ["./logs/audit.log", f"logs/{BACKUPS[1]}"] == paths(
        "./logs/audit.log", "logs", "logs/*.log", "link", "current.log", str(directory / "logs" / "audit.log")
    )


def test_standard_input_is_a_segment_of_its_own(directory: Path) -> None:
    """It is read once and is the newest of its kind."""
    fill("a.log")

    assert [Segment("a.log", False, True), Segment("-", False, True)] == find_segments(["a.log", "-", "-"]).segments


def test_no_arguments_mean_no_segments() -> None:
    """Nothing is read that was not asked for."""
    assert ([], [], []) == find_segments([])


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        pytest.param("missing.log", "missing.log: no such file; check the path", id="missing-file"),
        pytest.param("dangling.log", "dangling.log: no such file; check the path", id="dangling-link"),
        pytest.param("logs/*.txt", "logs/*.txt: no file matches this pattern; check", id="pattern-without-match"),
        pytest.param("logs", "logs: no *.log or *.log.gz in this directory; name", id="directory-without-logs"),
        pytest.param("", ": no such file; check the path", id="empty-argument"),
    ],
)
def test_what_is_not_there_is_an_error_beside_the_rest(directory: Path, argument: str, message: str) -> None:
    """The error names the path, what is wrong and what to do; what stands before and behind it is found."""
    fill("logs/policy.yaml", "a.log", "b.log")
    os.symlink("nowhere", "dangling.log")

    found = find_segments(["a.log", argument, "b.log", argument])

    assert ["a.log", "b.log"] == [segment.path for segment in found.segments]
    ((path, sentence),) = found.errors
    assert argument == path
    assert sentence.startswith(message)


@pytest.mark.parametrize("argument", ["loop.log", "a.log/b.log", "a\0b", "a\0/*.log", "x" * 5000], ids=ascii)
def test_name_that_the_system_refuses_is_an_error(directory: Path, argument: str) -> None:
    """Whatever the system says about a name, it is said and not raised."""
    fill("a.log")
    os.symlink("loop.log", "loop.log")

    assert [argument] == [path for path, _ in find_segments([argument, "a.log"]).errors]


def test_file_without_permission_is_found_and_can_not_be_opened(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is a segment like any other until somebody reads it."""
    fill("a.log")

    def refuse(*arguments: object, **options: object) -> None:
        raise PermissionError(13, "Permission denied")

    found = find_segments(["a.log"])
    monkeypatch.setattr("builtins.open", refuse)

    assert [Segment("a.log", False, True)] == found.segments
    assert [] == found.errors
    with pytest.raises(SegmentError, match=r"^a\.log: permission denied; run as a user who may read it$"):
        open_segment(found.segments[0])


@pytest.mark.parametrize(
    "error", [PermissionError(13, "x"), OSError(5, "Input/output error")], ids=["denied", "broken"]
)
def test_unreadable_directory_is_an_error_beside_the_rest(
    directory: Path, monkeypatch: pytest.MonkeyPatch, error: OSError
) -> None:
    """A directory that can't be listed is not an empty one, and stops nothing."""
    fill("logs/audit.log", "a.log")

    def refuse(path: str) -> Iterator[os.DirEntry[str]]:
        raise error

    monkeypatch.setattr(os, "scandir", refuse)
    found = find_segments(["logs", "a.log"])

    assert ["a.log"] == [segment.path for segment in found.segments]
    ((path, sentence),) = found.errors
    assert "logs" == path
    assert sentence.startswith(("logs: permission denied; ", "logs: Input/output error; "))


def test_dangling_link_in_a_directory_is_an_error(directory: Path) -> None:
    """A log that is linked to and gone is missing; links to nothing with other names are nobody's business."""
    fill("logs/audit.log")
    os.symlink("nowhere", "logs/b.log")
    os.symlink("loop.log", "logs/loop.log")
    os.symlink("nowhere", "logs/other.json")
    found = find_segments(["logs", "logs"])

    assert ["logs/audit.log"] == [segment.path for segment in found.segments]
    assert ["logs/b.log", "logs/loop.log"] == [path for path, _ in found.errors]
    assert "logs/b.log: a link to a file that does not exist; check the link" == found.errors[0][1]
    assert [] == found.ignored


def test_directory_with_nothing_but_a_dangling_link_has_one_error(directory: Path) -> None:
    """The link is what is wrong, not the lack of logs."""
    Path("logs").mkdir()
    os.symlink("nowhere", "logs/audit.log")

    assert ["logs/audit.log"] == [path for path, _ in find_segments(["logs", "logs"]).errors]


@pytest.mark.parametrize(
    "name",
    [
        "audit.log.bz2",
        "audit.log.zst",
        "audit.log.1.xz",
        "audit.log.2026",
        "audit.log-20260101.gz",
        "audit.log.bak",
        "audit.log~",
        "AUDIT.LOG",
        "audit.json",
        "audit.jsonl.gz",
        "audit-2026-01-01T00-00-00.000",
        "audit-2026-01-01T00-00-00.000.txt",
    ],
)
def test_file_that_looks_like_a_log_and_is_not_read_is_told(directory: Path, name: str) -> None:
    """What a directory holds beside the logs may be logs that somebody expects to be read."""
    fill("logs/audit.log", f"logs/{name}")

    assert ([Segment("logs/audit.log", False, True)], [], [f"logs/{name}"]) == find_segments(["logs"])


def test_pipe_named_like_a_log_is_told(directory: Path) -> None:
    """A pipe in a directory is not read: nobody may be writing to it."""
    fill("logs/audit.log")
    os.mkfifo("logs/b.log")

    assert ["logs/b.log"] == find_segments(["logs"]).ignored


def test_what_is_read_otherwise_is_not_ignored(directory: Path) -> None:
    """A file named beside its directory, or linked to a log in it, is read."""
    fill("logs/audit.log", "logs/audit.json", "logs/other.json")
    os.symlink("audit.log", "logs/current.json")

    assert ["logs/other.json"] == find_segments(["logs", "logs/audit.json"]).ignored


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


def test_finding_segments_imports_nothing_it_may_not_need() -> None:
    """Patterns and compression cost their imports only where they are used."""
    program = (
        "import sys; from kaudit_core.events.segments import find_segments, open_segment; "
        "find_segments(sys.argv[1:]); print(*({'glob', 'gzip'} & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-S", "-c", program, "-", __file__],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        check=True,
        text=True,
    )

    assert "" == result.stdout.strip()
