"""The main job on real input: a log that a real kube-apiserver wrote, its policy, and a copy that was tampered with.

Run by `make demo-verify`. Every step prints the command that a user would type; a step that ends otherwise than it
should ends the demo with exit code 1.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ACK = Path(__file__).resolve().parents[1] / "tests" / "corpus" / "real" / "ack"

MISSPELT = """\
apiVersion: audit.k8s.io/v1
kind: Policy
rules:
- level: None
  user: ["system:kube-proxy"]   # meant: users
  verbs: [watch]
- level: RequestResponse
  resources:
  - group: apps/v1              # meant: apps
"""


def main() -> int:
    """Run the steps; 0 when each ended as it should."""
    with tempfile.TemporaryDirectory(prefix="kaudit-demo-") as directory:
        work = Path(directory)
        for source in (ACK / "policy.yaml", ACK / "audit.log"):
            (work / source.name).write_bytes(source.read_bytes())
        (work / "misspelt.yaml").write_text(MISSPELT)
        altered = tamper(work / "audit.log", work / "tampered.log")
        uri = "/api/v1/namespaces/default/secrets/db?watch=1"
        kaudit = Steps(work)
        kaudit.says("1. A real log is what its policy promises.", 0)
        kaudit("verify", "--policy", "policy.yaml", "--examples", "1", "audit.log")
        kaudit.says("2. Why is this request logged as it is?", 0)
        explain = ("policy", "explain", "--policy", "policy.yaml", "--method", "GET", "--uri", uri)
        kaudit(*explain, "--user", "alice", "--group", "devs")
        kaudit.says("3. A policy that an API server would refuse, and a slip that it would swallow in silence.", 1)
        kaudit("policy", "lint", "misspelt.yaml")
        kaudit.says(f"4. The same log, {len(altered)} lines altered: {'; '.join(altered)}.", 3)
        kaudit("verify", "--policy", "policy.yaml", "--examples", "2", "tampered.log")
    print("\nEvery step ended as it should. Next: kaudit verify --policy YOUR-POLICY YOUR-LOG-DIRECTORY")
    return 0


class Steps:
    """Runs kaudit in a directory and checks how it ended."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._expected = 0

    def says(self, title: str, expected: int) -> None:
        """Announce the next step and the exit code it must have."""
        self._expected = expected
        print(f"\n\n== {title}\n", flush=True)

    def __call__(self, *arguments: str) -> None:
        print("$ " + shlex.join(("kaudit", *arguments)), flush=True)
        command = [sys.executable, "-m", "kaudit_core.cli.main", *arguments]
        code = subprocess.run(command, cwd=self._directory, check=False).returncode
        print(f"(exit code {code})", flush=True)
        if code != self._expected:
            sys.exit(f"demo: this step should have ended with exit code {self._expected}")


def tamper(log: Path, copy: Path) -> list[str]:
    """Write a copy with four lines altered; return what was done, in words."""
    lines = log.read_bytes().splitlines(keepends=True)
    done = []

    def change(title: str, index: int, **fields: Any) -> None:
        event = {**json.loads(lines[index]), **fields}
        lines[index] = json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
        done.append(f"line {index + 1} {title}")

    events = [json.loads(line) for line in lines]
    secret = next(n for n, event in enumerate(events) if event.get("objectRef", {}).get("resource") == "secrets")
    change("got a body", secret, responseObject={"kind": "Secret", "data": {"password": "aHVudGVyMg=="}})
    listed = next(n for n, event in enumerate(events) if event["verb"] == "list" and event["level"] == "Request")
    change("points elsewhere", listed, requestURI="/apis/batch/v1/cronjobs")
    health = next(n for n, event in enumerate(events) if event["requestURI"].startswith("/readyz"))
    change("was never to be logged", health, requestURI="/healthz")
    last = len(lines) - 2
    lines[last] = lines[last][: len(lines[last]) // 2] + b"\n"
    done.append(f"line {last + 1} was cut")
    copy.write_bytes(b"".join(lines))
    return done


if __name__ == "__main__":
    sys.exit(main())
