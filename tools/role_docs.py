"""Writes roles/<role>/README.md from the role's meta/argument_specs.yml and meta/main.yml.

    tools/role_docs.py            write what is stale
    tools/role_docs.py --check    write nothing, and exit 1 if anything is stale

In a description, a paragraph that begins with "Warning: " stands before everything else.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import yaml

ROLES = Path(__file__).resolve().parents[1] / "roles"
HEAD = "<!-- Written by tools/role_docs.py from meta/argument_specs.yml: change that, then `make docs`. -->"
WARNING = "Warning: "


def paragraphs(description: str | list[str] | None) -> list[str]:
    """A description is a paragraph or a list of them."""
    given = [description] if isinstance(description, str) else description or []
    return [" ".join(paragraph.split()) for paragraph in given]


def options_of(entries: dict[str, Any]) -> dict[str, Any]:
    """Every entry point's variables; one that several have is the same in all."""
    found: dict[str, Any] = {}
    for name, entry in entries.items():
        for option, spec in (entry.get("options") or {}).items():
            if found.setdefault(option, spec) != spec:
                raise SystemExit(f"role_docs: {option} differs between entry points; the other is in {name}")
    return found


def shown_default(option: dict[str, Any]) -> str:
    """What a variable is if nobody sets it."""
    if option.get("required"):
        return "**required**"
    default = option.get("default")
    if default is None:
        return "none"
    return f"`{default}`" if isinstance(default, str) and default else f"`{json.dumps(default)}`"


def row(name: str, option: dict[str, Any]) -> str:
    """A variable's row in the table."""
    kind = option.get("type", "str") + (f" of {option['elements']}" if "elements" in option else "")
    meaning = paragraphs(option.get("description"))
    if "choices" in option:
        meaning.append("One of " + ", ".join(f"`{choice}`" for choice in option["choices"]) + ".")
    cells = [f"`{name}`", kind, shown_default(option), " ".join(meaning)]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def entry_point(name: str, entry: dict[str, Any]) -> str:
    """What one entry point does."""
    told = [f"**`{name}`**: {entry['short_description']}.", *paragraphs(entry.get("description"))]
    return "\n\n".join(text for text in told if not text.startswith(WARNING))


def readme(role: Path) -> str:
    """The README of a role."""
    entries = yaml.safe_load((role / "meta" / "argument_specs.yml").read_text())["argument_specs"]
    about = yaml.safe_load((role / "meta" / "main.yml").read_text())["galaxy_info"]["description"]
    told = [text for entry in entries.values() for text in paragraphs(entry.get("description"))]
    warnings = dict.fromkeys(text.removeprefix(WARNING) for text in told if text.startswith(WARNING))
    examples = [entry["examples"].strip() for entry in entries.values() if "examples" in entry]
    options = options_of(entries)
    parts = [HEAD, f"# kaudit.k8s.{role.name}", f"{about}."]
    if warnings:
        parts += ["## Before you run it", "\n".join(f"- {text}" for text in warnings)]
    parts += [f"```yaml\n{example}\n```" for example in examples]
    parts += ["## What it does", *(entry_point(name, entry) for name, entry in entries.items())]
    table = ["| variable | type | default | meaning |", "|---|---|---|---|"]
    parts += ["## Variables", "\n".join([*table, *(row(name, option) for name, option in options.items())])]
    return "\n\n".join(parts) + "\n"


def main() -> int:
    """Write or check each role's README."""
    parser = argparse.ArgumentParser(description="READMEs of the roles, from their argument_specs")
    parser.add_argument("--check", action="store_true", help="write nothing, exit 1 if anything is stale")
    parser.add_argument("--roles", type=Path, default=ROLES, help="the folder with the roles")
    options = parser.parse_args()
    expected = {path.parents[1] / "README.md": readme(path.parents[1]) for path in find_specs(options.roles)}
    stale = [path for path, text in expected.items() if not path.exists() or path.read_text() != text]
    for path in stale:
        if not options.check:
            path.write_text(expected[path])
        name = path.relative_to(options.roles.resolve().parent)
        print(f"{name}: stale; run `make docs`" if options.check else f"{name}: written", file=sys.stderr)
    return 1 if options.check and stale else 0


def find_specs(roles: Path) -> list[Path]:
    """The argument_specs of all roles."""
    return sorted(roles.resolve().glob("*/meta/argument_specs.yml"))


if __name__ == "__main__":
    sys.exit(main())
