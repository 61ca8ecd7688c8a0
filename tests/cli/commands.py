"""Running commands of `kaudit policy`, and the policies that they are given."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
HEAD = "apiVersion: audit.k8s.io/v1\nkind: Policy\n"
GOOD = f"""\
{HEAD}omitStages: [RequestReceived]
rules:
- level: None
  users: [bob]
- level: Request
  verbs: [list]
  omitStages: [ResponseStarted]
  omitManagedFields: true
- level: Metadata
  userGroups: [devs]
"""
LENIENT = f"{HEAD}rules:\n- level: None\n  verb: [list]\n"
"""Loads, but broader than it looks."""
REFUSED = f"{HEAD}rules:\n- level: Everything\n- level: Metadata\n  nonResourceURLs: [healthz]\n"
SINCE_1_36 = f'{HEAD}rules:\n- level: Metadata\n  resources:\n  - group: "*"\n'
HOSTILE = "\x1b]0;x\x07\x1b[2J\u202e\u2066\r"
"""Sets a terminal's title, clears it, turns text round, goes back to the line's start."""
POLICY_ACTIONS = ("lint", "evaluate", "explain")
RAW = frozenset(letter for letter in HOSTILE if not letter.isprintable())


class Ran(NamedTuple):
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def answers(self) -> list[dict[str, Any]]:
        """Standard output, a JSON object a line."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def report(self) -> Any:
        """Standard output as one JSON text."""
        return json.loads(self.out)


Run = Callable[..., Ran]


File = Callable[..., str]


def lines(*requests: Any) -> bytes:
    """Requests as JSON lines."""
    return b"".join(json.dumps(request).encode() + b"\n" for request in requests)


def started(*arguments: str | bytes) -> subprocess.Popen[bytes]:
    """Start a command in a process of its own."""
    # A shell's background job ignores Ctrl-C, and so would what it starts.
    command = ["env", "--default-signal=INT", sys.executable, "-m", "kaudit_core.cli.main", *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe)


def finished(*arguments: str | bytes, stdin: bytes = b"") -> tuple[int, bytes, bytes]:
    """Run a command in a process of its own, to its end."""
    with started(*arguments) as process:
        out, err = process.communicate(stdin, timeout=60)
    return process.returncode, out, err
