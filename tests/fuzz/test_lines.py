"""The compiled matcher under sanitizers, with every compiler and every kind of instructions there is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kaudit_core.matcher.engine import available

pytestmark = pytest.mark.skipif("native" not in available(), reason="the extension was not built: needs a C++ compiler")

ROUNDS = 200_000 if os.environ.get("KAUDIT_FULL", "0") not in ("", "0") else 2_000


@pytest.mark.parametrize("flags", [(), ("-DKAUDIT_PORTABLE",)], ids=["vectors", "portable"])
def test_mutated_logs_are_memory_safe_in_any_blocks(flags: tuple[str, ...], tmp_path: Path) -> None:
    """Neither addresses nor arithmetic go wrong, nothing leaks, and blocks of any size find the same."""
    from tests.fuzz.build import SANITIZED, built, prepared, run

    program = built(tmp_path, "lines", "g++", *SANITIZED, *flags)
    policy, corpus = prepared(tmp_path)

    assert run(program, policy, corpus, ROUNDS)


def test_all_builds_find_the_same(tmp_path: Path) -> None:
    """The compiler, the instructions and optimisation do not matter; nor another processor, where one is emulated."""
    from tests.fuzz.build import built, compilers, emulators, prepared, run

    policy, corpus = prepared(tmp_path)
    found = {
        " ".join((name, *flags)): run(built(tmp_path, "lines", name, *flags), policy, corpus, ROUNDS)
        for name in compilers()
        for flags in (("-O3",), ("-O1", "-DKAUDIT_PORTABLE"))
    }
    for name, runner in emulators().items():
        program = built(tmp_path, "lines", name, "-O2", "-static")
        found[name] = run(program, policy, corpus, ROUNDS, runner=runner)

    assert 1 == len(set(found.values())), found


def test_workers_share_a_segment_without_a_race(tmp_path: Path) -> None:
    """Three workers on one reader, watched by the thread sanitizer."""
    from tests.fuzz.build import built, prepared, run

    program = built(tmp_path, "lines", "g++", "-O1", "-g", "-fsanitize=thread")
    policy, corpus = prepared(tmp_path)

    assert run(program, policy, corpus, ROUNDS // 10, threads=3)
