"""`kaudit policy`: lint, evaluate, explain; preset stands in a file of its own."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from kaudit_core.cli import preset
from kaudit_core.cli.loading import add_version_option, complain, finding_line, load_policy, read_bytes

if TYPE_CHECKING:
    from kaudit_core.policy.evaluator import Evaluator
    from kaudit_core.policy.reader import PolicyReading


def add_commands(commands: Any) -> None:
    """Add `policy` and what is under it."""
    group = commands.add_parser(
        "policy",
        help="lint, evaluate, explain and compose audit policies",
        description="Say what an audit policy means to the API server.",
        epilog="examples:\n  kaudit policy lint policy.yaml\n  kaudit policy explain --help",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = group.add_subparsers(title="commands", metavar="COMMAND", dest="action", required=True)
    _add_lint(actions)
    _add_evaluate(actions)
    _add_explain(actions)
    preset.add_commands(actions)


def _add(actions: Any, name: str, summary: str, description: str, examples: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(
        name,
        help=summary,
        description=description,
        epilog=f"examples:\n{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_version_option(parser)
    return parser


def _add_lint(actions: Any) -> None:
    parser = _add(
        actions,
        "lint",
        "report all that is wrong with a policy",
        "Report every error at once, with line and field: what the server refuses, and what it silently drops.\n"
        "Exit code 0: nothing but notes; 1: findings, or a policy that the server refuses; 2: usage, unreadable file.",
        "  kaudit policy lint policy.yaml\n"
        "  kaudit policy lint --kubernetes-version 1.36 --format json - < policy.yaml",
    )
    parser.add_argument("--format", choices=("text", "json"), default="text", help="default: text")
    parser.add_argument("policies", nargs="+", metavar="POLICY", help="policy file; - is standard input")
    parser.set_defaults(run=lint)


def _add_evaluate(actions: Any) -> None:
    parser = _add(
        actions,
        "evaluate",
        "say what a policy decides for many requests",
        'Read one JSON object a line, attributes or {"method","requestURI","user","groups"}, and write one answer\n'
        "a line: rule, level, omitStages, omitManagedFields. Exit code 2 if the policy or a line can't be read.",
        "  kaudit policy evaluate --policy policy.yaml requests.jsonl\n"
        '  echo \'{"method":"GET","requestURI":"/api/v1/pods"}\' | kaudit policy evaluate --policy policy.yaml -',
    )
    parser.add_argument("--policy", required=True, metavar="POLICY", help="policy file")
    parser.add_argument("requests", metavar="REQUESTS", help="JSON lines; - is standard input")
    parser.set_defaults(run=evaluate)


def _add_explain(actions: Any) -> None:
    parser = _add(
        actions,
        "explain",
        "say which rule decides a request, and why no earlier one does",
        "Print the attributes of a request, the rule that decides it and why each earlier rule does not match.\n"
        "Without --user the request has no user at all, as before authentication.",
        "  kaudit policy explain --policy policy.yaml --method GET \\\n"
        "      --uri '/api/v1/namespaces/x/pods?watch=1' --user alice --group devs",
    )
    parser.add_argument("--policy", required=True, metavar="POLICY", help="policy file; - is standard input")
    parser.add_argument("--method", default="GET", help="HTTP method, as sent (default: %(default)s)")
    parser.add_argument("--uri", required=True, help="request URI, with its query")
    parser.add_argument("--user", help="authenticated user, before impersonation")
    parser.add_argument("--group", action="append", default=[], metavar="GROUP", help="the user's group; repeatable")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="default: text")
    parser.set_defaults(run=explain)


def lint(arguments: argparse.Namespace) -> int:
    """Report on each policy; the worst exit code counts."""
    from kaudit_core.policy.reader import read_policy

    code = 0
    reports = []
    for path in arguments.policies:
        data = read_bytes(path)
        if data is None:
            code = 2
            continue
        reading = read_policy(data, path, arguments.kubernetes_version)
        code = max(code, 0 if reading.strict and reading.policy is not None else 1)
        if arguments.format == "json":
            reports.append(_lint_json(reading))
        else:
            for line in _lint_text(reading, str(arguments.kubernetes_version)):
                print(line)
    if arguments.format == "json" and reports:
        print(json.dumps(reports if len(arguments.policies) > 1 else reports[0], indent=2))
    return code


def _lint_json(reading: PolicyReading) -> dict[str, Any]:
    return {
        "source": reading.source,
        "sha256": reading.sha256,
        "accepted": reading.policy is not None,
        "strict": reading.strict,
        "findings": [
            {
                "code": finding.code,
                "severity": finding.severity,
                "path": finding.path,
                "line": finding.line,
                "column": finding.column,
                "message": finding.message,
            }
            for finding in reading.findings
        ],
    }


def _lint_text(reading: PolicyReading, version: str) -> Iterator[str]:
    from kaudit_core.report.escaping import visible

    source = visible(reading.source, 400)
    for finding in reading.findings:
        yield finding_line(source, finding)
    if reading.policy is None:
        yield f"{source}: refused: an API server {version} does not start with it"
    elif not reading.strict:
        yield f"{source}: an API server {version} loads it, but not as it is written"
    else:
        count = len(reading.policy.rules)
        yield f"{source}: good, {count} rule{'s' if count != 1 else ''}"


def evaluate(arguments: argparse.Namespace) -> int:
    """Answer each line; a line that is no request is answered with its error, said, and exits 2 at the end."""
    from kaudit_core.policy.evaluator import Evaluator
    from kaudit_core.policy.requests import RequestError, unknown_keys

    if arguments.policy == arguments.requests == "-":
        complain("--policy and REQUESTS can't both be standard input: name a file for one of them")
        return 2
    reading = load_policy(arguments.policy, arguments.kubernetes_version)
    data = read_bytes(arguments.requests) if reading else None
    if reading is None or reading.policy is None or data is None:
        return 2
    evaluator = Evaluator(reading.policy)
    bad, ignored = 0, set[str]()
    for number, line in enumerate(data.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            request = _request(line)
            answer = _answer(evaluator, request)
            for key in sorted(unknown_keys(request) - ignored):
                complain(f"{arguments.requests}:{number}: unknown key {key!r} is ignored here and from here on")
                ignored.add(key)
        except RequestError as error:
            bad += 1
            answer = {"error": f"line {number}: {error}"}
            complain(f"{arguments.requests}:{number}: {error}")
        print(json.dumps(answer))
    return 2 if bad else 0


def _request(line: bytes) -> dict[str, Any]:
    from kaudit_core.events.json_text import JsonError, find_duplicate, parse
    from kaudit_core.policy.requests import RequestError

    try:
        request, facts = parse(line)
    except JsonError as error:
        raise RequestError(f"not JSON: {error}; write one object a line") from error
    if not isinstance(request, dict):
        raise RequestError("not an object; write one object a line")
    duplicate = find_duplicate(request, facts)
    if duplicate:
        raise RequestError(f"{duplicate} is given twice: keep one")
    return request


def _answer(evaluator: Evaluator, request: dict[str, Any]) -> dict[str, Any]:
    from kaudit_core.events.attributes import request_attributes
    from kaudit_core.events.uri import UnparsableURI
    from kaudit_core.policy.requests import (
        attributes_json,
        attributes_of,
        config_json,
        is_http,
        text,
        user_and_groups,
    )

    if not is_http(request):
        return config_json(evaluator.evaluate(attributes_of(request)))
    try:
        judged = request_attributes(text(request, "method"), text(request, "requestURI"), *user_and_groups(request))
    except UnparsableURI as error:
        return {"error": str(error)}
    return {**config_json(evaluator.evaluate(judged)), "attributes": attributes_json(judged)}


def explain(arguments: argparse.Namespace) -> int:
    """Print one request's decision."""
    from kaudit_core.events.attributes import request_attributes
    from kaudit_core.events.uri import UnparsableURI
    from kaudit_core.policy.evaluator import Evaluator
    from kaudit_core.report.explanation import explanation_json, explanation_text

    reading = load_policy(arguments.policy, arguments.kubernetes_version)
    if reading is None or reading.policy is None:
        return 2
    try:
        uri = arguments.uri.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")
        judged = request_attributes(arguments.method, uri, arguments.user, tuple(arguments.group))
    except UnparsableURI as error:
        complain(f"--uri: {error} The server answers such a request with an error before it audits.")
        return 2
    config = Evaluator(reading.policy).evaluate(judged)
    if arguments.format == "json":
        print(json.dumps(explanation_json(reading.policy, judged, config), indent=2))
    else:
        sys.stdout.write(explanation_text(reading.policy, arguments.policy, judged, config))
    return 0
