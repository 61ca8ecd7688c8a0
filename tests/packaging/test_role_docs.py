"""Each role's argument_specs, its defaults and its README say the same."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
ROLES = sorted(path.parent for path in (ROOT / "roles").glob("*/meta"))
EACH_ROLE = pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)


def options_of(role: Path) -> dict[str, Any]:
    """The variables of all entry points."""
    entries = yaml.safe_load((role / "meta" / "argument_specs.yml").read_text())["argument_specs"]
    return {name: option for entry in entries.values() for name, option in (entry.get("options") or {}).items()}


def role_docs(roles: Path, *arguments: str) -> tuple[int, str]:
    """What tools/role_docs.py says of a folder of roles."""
    command = [sys.executable, str(ROOT / "tools" / "role_docs.py"), "--roles", str(roles), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@EACH_ROLE
def test_defaults_are_those_of_the_specs(role: Path) -> None:
    """defaults/main.yml gives each public variable the default that argument_specs.yml documents, and no other one."""
    documented = {name: option["default"] for name, option in options_of(role).items() if "default" in option}

    assert documented == yaml.safe_load((role / "defaults" / "main.yml").read_text())


@EACH_ROLE
def test_public_variables_carry_the_name_of_the_role(role: Path) -> None:
    """A role's variables can't meet another's, and each is described."""
    foreign = [name for name in options_of(role) if not name.startswith(f"{role.name}_")]
    undescribed = [name for name, option in options_of(role).items() if not option.get("description")]

    assert ([], []) == (foreign, undescribed)


def test_readmes_are_fresh() -> None:
    """Nothing was changed in argument_specs.yml without `make docs`."""
    assert (0, "") == role_docs(ROOT / "roles", "--check")


def test_a_stale_readme_is_named_and_written(tmp_path: Path) -> None:
    """A changed default makes the README stale; writing it mends that."""
    shutil.copytree(ROLES[0], tmp_path / "roles" / ROLES[0].name)
    readme = f"roles/{ROLES[0].name}/README.md"
    with (tmp_path / readme).open("a") as opened:
        opened.write("| `by_hand` |\n")

    assert (1, f"{readme}: stale; run `make docs`\n") == role_docs(tmp_path / "roles", "--check")
    assert (0, f"{readme}: written\n") == role_docs(tmp_path / "roles")
    assert (0, "") == role_docs(tmp_path / "roles", "--check")
    assert (ROLES[0] / "README.md").read_text() == (tmp_path / readme).read_text()


def test_readmes_begin_with_what_can_hurt() -> None:
    """Whoever reads only the first screen knows that API servers are restarted."""
    text = (ROOT / "roles" / "apiserver_audit" / "README.md").read_text()
    first_section = text.split("\n## ")[1]

    assert first_section.startswith("Before you run it\n")
    assert "restarts the API server" in first_section
