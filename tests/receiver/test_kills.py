"""The spool under SIGKILL at every operation of the disk."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def test_no_acknowledged_event_is_lost_to_sigkill(tmp_path: Path) -> None:
    """Hundreds of processes killed, some amid recovery: all acknowledged events are there, once and in order."""
    command = [sys.executable, "-m", "tests.receiver.kills", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)

    assert "" == done.stderr
    found = json.loads(done.stdout)
    assert [] == found["wrong"]
    assert 200 < found["killed"]
