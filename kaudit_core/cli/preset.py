"""`kaudit policy preset`: what presets there are, and the policy that one of them makes."""

from __future__ import annotations

import argparse
import json
import sys
import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from kaudit_core.cli.loading import add_version_option, complain, read_bytes

if TYPE_CHECKING:
    from kaudit_core.policy.presets import Preset

_OPTIONS: Final = {
    "preset": "NAME",
    "rules_before": "--rules-before",
    "rules_after": "--rules-after",
    "group_overrides": "--group-override",
    "namespace_overrides": "--namespace-override",
}
"""What a field of a composition is called here; a message may add which one of several, from 0."""


def add_commands(actions: Any) -> None:
    """Add `preset` and what is under it."""
    group = actions.add_parser(
        "preset",
        help="list ready-made policies, and print one, changed as you like",
        description="Policies for common wishes, the same that the variable audit_policy_preset takes.",
        epilog="examples:\n  kaudit policy preset list\n  kaudit policy preset show secure > policy.yaml",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    under = group.add_subparsers(title="commands", metavar="COMMAND", dest="preset_action", required=True)
    _add_list(under)
    _add_show(under)


def _add_list(under: Any) -> None:
    parser = under.add_parser(
        "list",
        help="say of each preset what it is for, what it costs and what it can't see",
        description="Say of each preset what it is for, what it costs and what it can't see.",
        epilog="examples:\n  kaudit policy preset list\n  kaudit policy preset list --format json",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--format", choices=("text", "json"), default="text", help="default: text")
    parser.set_defaults(run=list_presets)


def _add_show(under: Any) -> None:
    parser = under.add_parser(
        "show",
        help="print the policy of a preset, with overrides and rules of your own",
        description=(
            "Print the policy that the roles would put on a host, linted for --kubernetes-version.\n"
            "The order decides: rules before, group overrides, namespace overrides, the preset's rules, rules after,\n"
            "the preset's last rule. Exit code 2 if a name, an option or a rule can't be used."
        ),
        epilog=(
            "examples:\n"
            "  kaudit policy preset show secure > policy.yaml\n"
            "  kaudit policy preset show ack --without-tokens\n"
            "  kaudit policy preset show metadata --group-override devs=write-bodies --namespace-override shop=Request"
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_version_option(parser)
    for kind in ("group", "namespace"):
        parser.add_argument(
            f"--{kind}-override",
            action="append",
            default=[],
            metavar=f"{kind.upper()}=PRESET|LEVEL",
            help=f"another preset or level for one {kind}; repeatable, the first that matches decides",
        )
    parser.add_argument("--rules-before", metavar="FILE", help="YAML list of rules that stand before all others")
    parser.add_argument("--rules-after", metavar="FILE", help="YAML list of rules for what only the last rule decides")
    parser.add_argument("--without-tokens", action="store_true", help="no bodies of what holds credentials, ever")
    parser.add_argument(
        "--omit-managed-fields", action="store_true", help="no managedFields in bodies (1.23 and later)"
    )
    parser.add_argument("--format", choices=("text", "json"), default="text", help="default: text, the YAML")
    parser.add_argument("name", metavar="NAME", help="a preset")
    parser.set_defaults(run=show)


def list_presets(arguments: argparse.Namespace) -> int:
    """Print all presets."""
    from kaudit_core.policy.presets import NAMES, load

    presets = [load(name) for name in NAMES]
    if arguments.format == "json":
        print(json.dumps([_json(preset) for preset in presets], indent=2))
    else:
        print("\n\n".join("\n".join(_text(preset)) for preset in presets))
    return 0


def _json(preset: Preset) -> dict[str, Any]:
    return {
        "name": preset.name,
        "purpose": preset.purpose,
        "cost": preset.cost,
        "blindSpots": list(preset.blind_spots),
    }


def _text(preset: Preset) -> Iterator[str]:
    yield preset.name
    yield from _wrapped("  ", preset.purpose)
    yield from _wrapped("  cost: ", preset.cost)
    for spot in preset.blind_spots:
        yield from _wrapped("  can't see: ", spot)


def _wrapped(start: str, text: str) -> list[str]:
    return textwrap.wrap(text, 110, initial_indent=start, subsequent_indent="    ", break_on_hyphens=False)


def show(arguments: argparse.Namespace) -> int:
    """Print one policy."""
    from kaudit_core.policy.deployable import PolicyRefused, check_preset

    given = _given(arguments)
    if given is None:
        return 2
    try:
        policy, composed = check_preset(given, str(arguments.kubernetes_version), _option)
    except PolicyRefused as error:
        for line in error.lines:
            complain(line)
        return 2
    if arguments.format == "json":
        rules = [{"index": index, "from": field or "preset"} for index, field in enumerate(composed.fields)]
        answer = {**_json(composed.preset), "sha256": policy.sha256, "rules": rules, "policy": policy.text}
        print(json.dumps(answer, indent=2))
    else:
        sys.stdout.write(policy.text)
    return 0


def _given(arguments: argparse.Namespace) -> dict[str, Any] | None:
    """The composition that the options ask for; None, with the reason said, where one can't be read."""
    given: dict[str, Any] = {
        "preset": arguments.name,
        "group_overrides": [_override("group", each) for each in arguments.group_override],
        "namespace_overrides": [_override("namespace", each) for each in arguments.namespace_override],
        "without_tokens": arguments.without_tokens,
        "omit_managed_fields": arguments.omit_managed_fields,
    }
    if arguments.rules_before == arguments.rules_after == "-":
        complain("--rules-before and --rules-after can't both be standard input: name a file for one of them")
        return None
    for field in ("rules_before", "rules_after"):
        path = getattr(arguments, field)
        if path is not None:
            given[field] = _rules(path)
            if given[field] is None:
                return None
    return given


def _override(kind: str, text: str) -> dict[str, str]:
    """NAME=PRESET or NAME=LEVEL; names may hold "=", presets and levels don't."""
    from kaudit_core.policy.types import LEVEL_RANK

    name, _, wanted = text.rpartition("=")
    return {kind: name, "level" if wanted in LEVEL_RANK else "preset": wanted}


def _rules(path: str) -> Any:
    from kaudit_core.policy.rule_list import read_rules

    data = read_bytes(path)
    if data is None:
        return None
    try:
        found = read_rules(data)
    except ValueError as error:
        complain(f"{path}:{error}")
        return None
    return [] if found is None else found


def _option(field: str) -> str:
    """Turn group_overrides[0].preset into --group-override[0].preset."""
    name, bracket, rest = field.partition("[")
    return _OPTIONS.get(name, "--" + name.replace("_", "-")) + bracket + rest
