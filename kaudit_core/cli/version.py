"""`kaudit version`."""

from __future__ import annotations

import argparse
from typing import Any

from kaudit_core import __version__


def add_commands(commands: Any) -> None:
    """Add `version`."""
    parser = commands.add_parser(
        "version",
        help="what this installation is and supports",
        description="Print kaudit's version, its engines and the Kubernetes versions it knows.",
        epilog="examples:\n  kaudit version",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)


def run(_: argparse.Namespace) -> int:
    """Print one fact a line."""
    import platform

    from kaudit_core.matcher.engine import available
    from kaudit_core.policy.versions import DEFAULT, NEWEST, OLDEST

    print(f"kaudit {__version__}")
    print(f"engines: {', '.join(available())}")
    print(f"Kubernetes: {OLDEST} to {NEWEST} (default {DEFAULT})")
    print(f"Python: {platform.python_version()}")
    return 0
