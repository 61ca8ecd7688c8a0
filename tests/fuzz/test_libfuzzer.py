"""A share of `make fuzz` in every run: libFuzzer from the made corpus, then what it kept through both engines."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from kaudit_core.matcher.engine import available

pytestmark = pytest.mark.skipif("native" not in available(), reason="the extension was not built: needs a C++ compiler")

MINUTES = 10.0 if os.environ.get("KAUDIT_FULL", "0") not in ("", "0") else 1.5


def test_minutes_of_fuzzing_find_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """No input breaks the compiled matcher, and none is seen otherwise by the reference, which asks Python's json."""
    from tests.fuzz.__main__ import compare, fuzz

    if not shutil.which("clang++"):
        pytest.skip("no clang++ here: make compilers")

    assert fuzz(tmp_path, MINUTES), capfd.readouterr().err[-4_000:]
    assert 0 == compare(tmp_path / "corpus"), capfd.readouterr().out
    assert len(list((tmp_path / "corpus").iterdir())) > 100, "libFuzzer kept next to nothing"
