"""segments: which files the arguments mean, and in which order."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kaudit_core.events.segments import Segment, SegmentError, find_segments, open_segment

BACKUPS = (
    "audit-2026-01-02T03-04-05.678.log.gz",
    "audit-2026-01-02T03-04-05.679.log",
    "audit-2026-02-01T00-00-00.000.log",
)
LINE = b'{"level":"Metadata","stage":"Panic","requestURI":"/"}\n'


def fill(*names: str) -> None:
    for name in names:
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(LINE)


def paths(*arguments: str) -> list[str]:
    return [segment.path for segment in find_segments(arguments).segments]


def newest(*arguments: str) -> list[str]:
    return [segment.path for segment in find_segments(arguments).segments if segment.newest]


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
