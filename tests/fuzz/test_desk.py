"""The module itself, as Python loads it, under sanitizers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kaudit_core.matcher.engine import available

pytestmark = pytest.mark.skipif("native" not in available(), reason="the extension was not built: needs a C++ compiler")

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


def built(folder: Path, sanitizers: str) -> Path:
    """The module with its invariants checked, by g++, whose libraries are loaded below."""
    flags = f"-fsanitize={sanitizers} -fno-omit-frame-pointer"
    environment = os.environ | {
        "CC": "gcc",
        "CXX": "g++",
        "CFLAGS": flags,
        "CXXFLAGS": flags,
        "KAUDIT_DEBUG_BUILD": "1",
    }
    places = ["--build-lib", str(folder / "lib"), "--build-temp", str(folder / "temp")]
    command = [sys.executable, "setup.py", "--quiet", "build_ext", "--force", *places]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True, timeout=600)
    modules = list(folder.glob("lib/kaudit_core/matcher/_native.*.so"))
    assert modules, done.stderr[-4_000:]
    return modules[0]


@pytest.mark.parametrize(
    ("sanitizers", "library"),
    [("address,undefined", "libasan.so"), ("thread", "libtsan.so")],
    ids=["address", "thread"],
)
def test_the_desk_is_clean(sanitizers: str, library: str, tmp_path: Path) -> None:
    """Nothing leaks, no address is wrong, no two threads race, whichever way Python takes into the module."""
    from tests.matcher.test_native_engine import EVENTS, log_in, written

    log, policy = tmp_path / "audit.log", tmp_path / "policy.yaml"
    log.write_bytes(b"".join(written(event) + b"\n" for event in EVENTS) * 500 + log_in("everything").read_bytes())
    policy.write_text("apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata}]\n")
    preload = subprocess.run(
        ["g++", f"-print-file-name={library}"], capture_output=True, text=True, check=True
    ).stdout.strip()
    environment = os.environ | {
        "LD_PRELOAD": preload,
        "PYTHONMALLOC": "malloc",
        "PYTHONPATH": str(ROOT),
        "ASAN_OPTIONS": "detect_leaks=1",
        "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
    }
    command = [sys.executable, str(HERE / "desk.py"), str(built(tmp_path, sanitizers)), str(policy), str(log)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)

    assert (0, "") == (done.returncode, done.stderr), done.stderr[-4_000:]
    assert 1 == len(set(done.stdout.splitlines())), done.stdout
