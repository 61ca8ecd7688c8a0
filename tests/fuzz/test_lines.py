"""The compiled matcher under sanitizers, with every compiler and every kind of instructions there is."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from collections.abc import Callable
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


@pytest.mark.parametrize("flags", [(), ("-DKAUDIT_PORTABLE",)], ids=["vectors", "portable"])
def test_bodies_end_where_a_plain_parser_ends_them(flags: tuple[str, ...], tmp_path: Path) -> None:
    """Random JSON, whole and damaged, at every place in a block: 64 bytes at a time are as strict as one token."""
    from tests.fuzz.build import SANITIZED, built

    program = built(tmp_path, "bodies", "g++", *SANITIZED, *flags, source="bodies.cpp")

    done = subprocess.run([str(program), str(ROUNDS * 20), "1"], capture_output=True, text=True, check=False)
    assert "the same\n" == done.stdout, done.stdout + done.stderr


@pytest.fixture(scope="module")
def digest(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """What a build finds in the mutated logs. It takes the compiler, its flags, and what runs the program."""
    from tests.fuzz.build import built, prepared, run

    folder = tmp_path_factory.mktemp("builds")
    policy, corpus = prepared(folder)

    @functools.cache
    def found(compiler: str, *flags: str, runner: str = "") -> str:
        for program in (compiler, runner or compiler):
            if not shutil.which(program):
                pytest.skip(f"no {program} here: make compilers")
        return run(built(folder, "lines", compiler, *flags), policy, corpus, ROUNDS, runner=runner)

    return found


@pytest.mark.parametrize(
    ("compiler", "flags", "runner"),
    [
        ("g++", ("-O1", "-DKAUDIT_PORTABLE"), ""),
        ("clang++", ("-O3",), ""),
        ("clang++", ("-O1", "-DKAUDIT_PORTABLE"), ""),
        ("aarch64-linux-gnu-g++", ("-O2", "-static"), "qemu-aarch64"),
    ],
    ids=["portable", "clang", "clang-portable", "aarch64"],
)
def test_all_builds_find_the_same(
    digest: Callable[..., str], compiler: str, flags: tuple[str, ...], runner: str
) -> None:
    """Neither the compiler, the instructions, optimisation nor the processor matter."""
    assert digest("g++", "-O3") == digest(compiler, *flags, runner=runner)


def test_workers_share_a_segment_without_a_race(tmp_path: Path) -> None:
    """Three workers on one reader, watched by the thread sanitizer."""
    from tests.fuzz.build import built, prepared, run

    program = built(tmp_path, "lines", "g++", "-O1", "-g", "-fsanitize=thread")
    policy, corpus = prepared(tmp_path)

    assert run(program, policy, corpus, ROUNDS // 10, threads=3)
