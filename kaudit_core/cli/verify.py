"""`kaudit verify`."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from kaudit_core.cli.loading import add_version_option, complain, load_policy


def add_commands(commands: Any) -> None:
    """Add `verify`."""
    parser = commands.add_parser(
        "verify",
        help="judge every event of a log against the policy",
        description=(
            "Re-decide every logged event against the policy and say whether the log is what the policy promises.\n"
            "LOG is a file, a pattern, a directory with rotated segments (.gz too) or - for standard input.\n"
            "Exit code 0: all agree; 1: findings; 2: usage, or a policy that can't be used;\n"
            "3: something is malformed or unreadable."
        ),
        epilog=(
            "examples:\n"
            "  kaudit verify --policy policy.yaml /var/log/kubernetes/audit/\n"
            "  kaudit verify --policy policy.yaml --format json audit-2026-*.log.gz audit.log\n"
            "  kubectl logs -n kube-system audit-receiver | kaudit verify --policy policy.yaml -"
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--policy", required=True, metavar="POLICY", help="the policy that was in force")
    add_version_option(parser)
    parser.add_argument("--format", choices=("text", "json"), default="text", help="default: text")
    parser.add_argument("--strict", action="store_true", help="exit 1 for undecidable records, benign ones too")
    parser.add_argument(
        "--join",
        action="store_true",
        help="compare the stages of each request with each other; always by the reference engine, 100 times slower",
    )
    parser.add_argument(
        "--examples", type=_count, default=10, metavar="N", help="examples kept of each finding (default: %(default)s)"
    )
    parser.add_argument(
        "--max-line-bytes",
        type=_positive,
        metavar="N",
        help="longest line that is read; bounds memory (default: 67108864)",
    )
    parser.add_argument(
        "--threads", type=_positive, default=0, metavar="N", help="that judge (default: one a processor, at most 8)"
    )
    parser.add_argument("logs", nargs="+", metavar="LOG", help="file, pattern, directory or -")
    parser.set_defaults(run=run)


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(text)


def _positive(text: str) -> int:
    number = _count(text)
    if not number:
        raise argparse.ArgumentTypeError("0 would read nothing: write 1 or more")
    return number


def run(arguments: argparse.Namespace) -> int:
    """Verify and report."""
    from kaudit_core.cli.progress import Progress
    from kaudit_core.events.records import MAX_LINE
    from kaudit_core.events.segments import find_segments
    from kaudit_core.matcher.engine import EngineError, Options, missing, select
    from kaudit_core.verification.summary import PolicyIdentity, SegmentSummary

    if arguments.policy == "-" and "-" in arguments.logs:
        complain("--policy and LOG can't both be standard input: name a file for one of them")
        return 2
    reading = load_policy(arguments.policy, arguments.kubernetes_version)
    if reading is None or reading.policy is None:
        return 2
    try:
        engine = select()
    except EngineError as error:
        complain(str(error))
        return 2
    if slow := missing():
        complain(slow)
    segments, errors, ignored = find_segments(arguments.logs)
    for path in ignored:
        complain(f"{path}: not read: no name of a log's segment, or a copy of one that is read")
    with Progress(segments) as progress:
        options = Options(
            examples=arguments.examples,
            max_line=arguments.max_line_bytes or MAX_LINE,
            join=arguments.join,
            threads=arguments.threads,
            progress=progress.advance,
        )
        summary = engine.verify(reading.policy, segments, options)
    for path, reason in errors:
        summary.add_segment(SegmentSummary(path, error=reason))
    summary.policies = (PolicyIdentity(reading.sha256, reading.source),)
    for segment in summary.unreadable:
        complain(segment.error)
    if not summary.events:
        complain("no records: nothing was verified")
    if arguments.format == "json":
        import json

        print(json.dumps(summary.as_json(), indent=2))
    else:
        from kaudit_core.report.summary_text import summary_text

        sys.stdout.write(summary_text(summary, reading.policy, arguments.strict))
    return summary.exit_code(arguments.strict)
