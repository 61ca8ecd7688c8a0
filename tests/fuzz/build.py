"""Builds the programs of tests/fuzz, and writes what lines.cpp starts from: a policy and a corpus of small logs."""

from __future__ import annotations

import os
import struct
import subprocess
from array import array
from pathlib import Path
from random import Random

import pytest

from kaudit_core.matcher import compiler
from kaudit_core.policy.types import Policy
from tests.matcher.test_native_engine import EVENTS, log_in, strict, written

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SANITIZED = ("-O1", "-g", "-fno-omit-frame-pointer", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")


def built(folder: Path, name: str, compiler_name: str, *flags: str, source: str = "lines.cpp") -> Path:
    """The program, with assertions on."""
    program = folder / name
    command = [compiler_name, "-std=c++17", "-UNDEBUG", *flags, "-pthread", "-I", str(ROOT / "kaudit_core" / "matcher")]
    subprocess.run([*command, str(HERE / source), "-o", str(program)], check=True, timeout=600)
    return program


def write_policy(path: Path, policy: Policy) -> None:
    """A compiled policy's three buffers in one file, their lengths first."""
    parts: list[tuple[array[int], array[int], bytes]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiler, "CompiledPolicy", lambda *given: parts.append(given))
        compiler.compile_policy(policy)
    numbers, sizes, texts = parts[0]
    path.write_bytes(struct.pack("=III", len(numbers), len(sizes), len(texts)) + bytes(numbers) + bytes(sizes) + texts)


def write_corpus(folder: Path) -> list[Path]:
    """Small logs: made events, real ones, and lines that are odd."""
    rng = Random(1)
    real = [line for line in log_in("everything").read_bytes().splitlines() if len(line) < 3_000]
    logs = [written(event) + b"\n" for event in EVENTS]
    logs += [b"\n".join(rng.sample(real, 2)) + b"\n" for _ in range(12)]
    logs += [b'{"kind":"EventList","items":[]}\n', b"\n \r\n", b"\0" * 80 + b"\n", b'{"level":"Meta', b"[]\n{}\n"]
    paths = []
    for number, log in enumerate(logs):
        paths.append(folder / f"seed-{number:02}")
        paths[-1].write_bytes(log)
    return paths


def prepared(folder: Path) -> tuple[Path, list[Path]]:
    """A policy that the made events are near to, and the corpus."""
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    write_policy(folder / "policy.bin", strict())
    return folder / "policy.bin", write_corpus(corpus)


def run(
    program: Path, policy: Path, corpus: list[Path], rounds: int, seed: int = 1, threads: int = 1, runner: str = ""
) -> str:
    """What the program prints: a digest of all it found."""
    command = [
        *([runner] if runner else []),
        str(program),
        str(policy),
        str(rounds),
        str(seed),
        str(threads),
        *map(str, corpus),
    ]
    environment = os.environ | {"ASAN_OPTIONS": "detect_leaks=1", "UBSAN_OPTIONS": "print_stacktrace=1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=550, env=environment, check=False)
    assert 0 == done.returncode, done.stderr[-4_000:]
    return done.stdout
