"""`kaudit`: parses arguments, runs a command, returns its exit code."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from kaudit_core.cli import policy, receive, verify, version


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaints are safe to show: arguments may hold other people's words."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and exit with code 2."""
        from kaudit_core.report.escaping import visible

        self.print_usage(sys.stderr)
        self.exit(2, f"{self.prog}: error: {visible(message, 1000)}\n")


def build_parser() -> argparse.ArgumentParser:
    """Return the whole command line."""
    parser = Parser(
        prog="kaudit",
        description="Proves what a Kubernetes audit policy does, and that an audit log is what its policy promises.",
        epilog=(
            "examples:\n"
            "  kaudit policy lint policy.yaml\n"
            "  kaudit policy explain --policy policy.yaml --method GET --uri /api/v1/pods --user alice\n"
            "  kaudit verify --policy policy.yaml /var/log/kubernetes/audit/\n"
            "  kaudit --print-completion bash > /etc/bash_completion.d/kaudit"
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--print-completion", metavar="SHELL", choices=("bash", "zsh", "tcsh"), help=argparse.SUPPRESS)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command")
    for group in (version, policy, verify, receive):
        group.add_commands(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Exit codes: 2 for usage, 130 interrupted, 141 nobody reads on, else the command's own."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    if sys.stdout is None:
        return 2  # closed: there is nobody to tell
    parser = build_parser()
    chosen = parser.parse_args(arguments)
    try:
        if chosen.print_completion:
            import shtab

            print(shtab.complete(parser, chosen.print_completion))
            return 0
        if not chosen.command:
            parser.print_help(sys.stderr)
            return 2
        code = int(chosen.run(chosen))
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        print("kaudit: interrupted", file=sys.stderr)
        return 130
    except OSError as error:
        if not isinstance(error, BrokenPipeError):
            print(f"kaudit: the result can't be written: {error.strerror or error}", file=sys.stderr)
        # Nothing more may be flushed to an output that takes nothing.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141 if isinstance(error, BrokenPipeError) else 2


if __name__ == "__main__":
    sys.exit(main())
