"""What a sanitized module is put through: every way into it, logs of every kind, several threads.

    python desk.py MODULE POLICY LOG

MODULE is a build of kaudit_core.matcher._native; the process runs with its sanitizer's library loaded. Prints the
events of each way.
"""

from __future__ import annotations

import gzip
import importlib.util
import sys
import tempfile
from pathlib import Path

ROUNDS = 3


def load(module: str) -> None:
    """Put a module in the place of the installed one."""
    spec = importlib.util.spec_from_file_location("kaudit_core.matcher._native", module)
    assert spec is not None and spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = loaded
    spec.loader.exec_module(loaded)


def main() -> None:
    module, policy, log = sys.argv[1:]
    load(module)
    from kaudit_core.matcher import Matcher
    from kaudit_core.policy.types import Attributes

    matcher = Matcher(Path(policy).read_bytes(), engine="native")
    with tempfile.TemporaryDirectory() as folder:
        packed = Path(folder, "audit.log.gz")
        packed.write_bytes(gzip.compress(Path(log).read_bytes(), 1))
        for _ in range(ROUNDS):
            plain, inflated, both = (
                matcher.verify(*given, threads=3).events for given in ([log], [packed], [packed, log])
            )
            rows = sum(batch.num_rows for batch in matcher.scan(packed))
            next(iter(matcher.scan(log)))  # and no more of it
            unreadable = len(matcher.verify(Path(folder, "missing.log")).unreadable)
            matcher.evaluate(Attributes(user="alice", verb="get", path="/healthz"))
            print(plain, inflated, both, rows, unreadable)


if __name__ == "__main__":
    main()
