"""What the lab's cache keeps and what it throws away."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.lab.cache import KEPT_DAYS, USED, cached


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of this test's own."""
    monkeypatch.setenv("KAUDIT_CACHE", str(tmp_path))
    return tmp_path / "lab"


def write(text: str) -> Path:
    """Cache a directory whose only file holds the text that is its input."""

    def make(directory: Path) -> None:
        (directory / "file").write_text(text)

    return cached("thing", [text], make)


def test_equal_inputs_are_made_once() -> None:
    first = write("a")
    (first / "file").write_text("untouched")

    assert first == write("a")
    assert "untouched" == (first / "file").read_text()
    assert first != write("b")


def test_a_file_counts_by_its_bytes(tmp_path: Path) -> None:
    source = tmp_path / "source"
    made = []
    for content in ("1", "2", "1"):
        source.write_text(content)
        made.append(cached("thing", [source], lambda directory: None))

    assert made[0] == made[2] != made[1]


def test_a_failed_run_leaves_no_result(home: Path) -> None:
    def fail(directory: Path) -> None:
        (directory / "half").write_text("x")
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        cached("thing", ["a"], fail)

    assert [] == [path for path in home.iterdir() if path.is_dir()]
    assert (write("a") / "file").exists()


def test_a_killed_runs_scratch_is_removed(home: Path) -> None:
    write("a")
    left = home / ".thing-left"
    left.mkdir()
    write("b")

    assert not left.exists()


def test_what_is_not_used_for_long_goes(home: Path) -> None:
    old, recent = write("old"), write("recent")
    long_ago = time.time() - (KEPT_DAYS + 1) * 86400
    os.utime(old.with_name(old.name + USED), (long_ago, long_ago))
    write("new")

    assert not old.exists()
    assert recent.exists()
