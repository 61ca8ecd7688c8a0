"""`make fuzz`: libFuzzer for some minutes, then everything it kept through both engines.

    python -m tests.fuzz [MINUTES]

The corpus is kept outside the repository, beside the other things that are built once per machine. Without clang the
program's own mutations run instead. Exit code 1 when something was found; the input is then named.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.fuzz.build import SANITIZED, built, prepared, run
from tests.matcher.native import both
from tests.matcher.test_native_engine import strict
from tests.oracle.upstream import cache_directory

ROUNDS_A_MINUTE = 100_000


def fuzz(folder: Path, minutes: float) -> bool:
    """Look for inputs that break the compiled matcher; true when none was found."""
    policy, corpus = prepared(folder)
    if not shutil.which("clang++"):
        print("fuzz: no clang++ here: mutating without libFuzzer", file=sys.stderr)
        run(built(folder, "lines", "g++", *SANITIZED), policy, corpus, int(minutes * ROUNDS_A_MINUTE), os.getpid())
        return True
    program = built(folder, "fuzzer", "clang++", "-DKAUDIT_LIBFUZZER", "-fsanitize=fuzzer", *SANITIZED)
    options = [
        f"-max_total_time={int(minutes * 60)}",
        "-max_len=8192",
        "-timeout=20",
        f"-artifact_prefix={folder}/found-",
    ]
    environment = os.environ | {"KAUDIT_FUZZ_POLICY": str(policy)}
    command = [str(program), *options, "-print_final_stats=1", str(folder / "corpus")]
    return subprocess.run(command, env=environment, check=False).returncode == 0


def compare(corpus: Path) -> int:
    """How many inputs of a corpus the two engines see differently."""
    differ = 0
    with tempfile.TemporaryDirectory() as scratch:
        for path in sorted(corpus.iterdir()):
            # A first line that is no list, so that the rest is a matter of both engines.
            reference, native = both(strict(), b"[]\n" + path.read_bytes(), Path(scratch))
            if reference.as_json() != native.as_json():
                print(f"fuzz: the engines differ on {path}")
                differ += 1
    return differ


def main() -> int:
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 5.0
    folder = cache_directory() / "fuzz"
    folder.mkdir(parents=True, exist_ok=True)
    whole = fuzz(folder, minutes)
    differ = compare(folder / "corpus")
    kept = len(list((folder / "corpus").iterdir()))
    print(f"fuzz: {kept} inputs kept in {folder / 'corpus'}, {differ} seen differently")
    return 0 if whole and not differ else 1


if __name__ == "__main__":
    sys.exit(main())
