"""What several commands do first: read a policy file, and say what is odd about it on standard error."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kaudit_core.policy.findings import PolicyFinding
    from kaudit_core.policy.reader import PolicyReading
    from kaudit_core.policy.versions import KubernetesVersion


def kubernetes_version(text: str) -> KubernetesVersion:
    """Read --kubernetes-version."""
    from kaudit_core.policy.versions import KubernetesVersion

    try:
        return KubernetesVersion.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def add_version_option(parser: argparse.ArgumentParser) -> None:
    """Add --kubernetes-version."""
    parser.add_argument(
        "--kubernetes-version",
        metavar="VERSION",
        type=kubernetes_version,
        default="1.35",
        help="the API server's version: 1.22 to 1.37 (default: %(default)s)",
    )


def complain(message: str) -> None:
    """One line on standard error, safe to show: file names are other people's words too."""
    from kaudit_core.report.escaping import visible

    print(f"kaudit: {visible(message, 1000)}", file=sys.stderr)


def read_bytes(path: str) -> bytes | None:
    """Read a file, or "-" for standard input; None, with the reason on standard error, when that fails."""
    try:
        if path == "-":
            if sys.stdin is None:
                raise ValueError("standard input is closed")
            return sys.stdin.buffer.read()
        with open(path, "rb") as file:
            return file.read()
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        complain(f"{path}: can't be read: {reason}")
        return None


def finding_line(source: str, finding: PolicyFinding) -> str:
    """FILE:LINE:COLUMN: severity code: message (field)."""
    from kaudit_core.report.escaping import visible

    place = f":{finding.line}:{finding.column}" if finding.line else ""
    field = f" ({finding.path})" if finding.path and finding.path not in finding.message else ""
    return f"{visible(source, 400)}{place}: {finding.severity} {finding.code}: {finding.message}{field}"


def load_policy(path: str, version: KubernetesVersion) -> PolicyReading | None:
    """Load a policy as the server does, warn about the rest; None, with the reasons said, where it refuses."""
    from kaudit_core.policy.findings import ERROR, NOTE
    from kaudit_core.policy.reader import read_policy

    data = read_bytes(path)
    if data is None:
        return None
    reading = read_policy(data, path, version)
    for finding in reading.findings:
        if reading.policy is None and finding.severity == ERROR:
            print(finding_line(path, finding), file=sys.stderr)
        elif reading.policy is not None and finding.severity != NOTE:
            print(f"warning: {finding_line(path, finding)}", file=sys.stderr)
    if reading.policy is None:
        complain(f"an API server {version} refuses {path} and does not start with it")
        return None
    return reading
