"""Laws of the repository that are cheap to check."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml

import kaudit_core

ROOT = Path(__file__).resolve().parent.parent
MADE = {
    ".git",
    ".venv",
    ".venv.lock",
    ".hypothesis",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    ".ansible",
    "build",
    "dist",
    "kaudit-receiver",
    "kaudit-report",
}
SECTIONS = {name for name, _ in yaml.safe_load((ROOT / "changelogs" / "config.yaml").read_text())["sections"]}
FRAGMENTS = sorted((ROOT / "changelogs" / "fragments").glob("*.yaml"))
LIMITS = {".pyx": 150, ".pxd": 80, ".hpp": 400, ".py": 400}
HOMES = re.compile(rb"/(?:home|Users|work)/[a-z]|/root/[.a-z]")


def is_made(path: Path) -> bool:
    """Whether a tool made this path, so that it is no part of the repository."""
    parts = path.relative_to(ROOT).parts
    return bool(MADE.intersection(parts)) or any(part == "__pycache__" or part.endswith(".egg-info") for part in parts)


def files(pattern: str = "*") -> list[Path]:
    """The repository's own files."""
    return sorted(path for path in ROOT.rglob(pattern) if path.is_file() and not is_made(path) and path.suffix != ".so")


def relative(paths: list[Path]) -> list[str]:
    """Paths as a reader of the failure wants them."""
    return [str(path.relative_to(ROOT)) for path in paths]


def test_no_room_is_empty() -> None:
    """A folder comes with its first file."""
    empty = [path for path in ROOT.rglob("*") if path.is_dir() and not is_made(path) and not any(path.iterdir())]

    assert [] == relative(empty)


def test_no_file_names_a_home_or_work_directory() -> None:
    """Nothing depends on the machine it was written on."""
    naming = [path for path in files() if path != Path(__file__) and HOMES.search(path.read_bytes())]

    assert [] == relative(naming)


def test_modules_keep_to_their_size() -> None:
    """A product file that grows past its limit is split, or a decision record says why not."""
    measured = {path: len(path.read_text().splitlines()) for path in files() if path.suffix in LIMITS}
    too_long = [path for path, lines in measured.items() if lines > LIMITS[path.suffix] and "tests" not in path.parts]

    assert [] == relative(too_long)


def test_every_test_file_has_its_row() -> None:
    """tests/README.md names every test file once."""
    table = (ROOT / "tests" / "README.md").read_text()
    rows = re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)
    tests = [str(path.relative_to(ROOT / "tests")) for path in files("test_*.py")]

    assert tests == sorted(rows)


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", "tests/README.md", "tests/BUDGET.md"])
def test_commands_in_documents_exist(document: str) -> None:
    """Every `make x` in a document is a target."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z-]+)\b(?=[`\n ]*[`\n#])", (ROOT / document).read_text()))

    assert named
    assert set() == named - targets


def test_versions_are_equal() -> None:
    """The package, the module, the collection, its plugins and its execution environment carry one version."""
    package = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    collection = yaml.safe_load((ROOT / "galaxy.yml").read_text())["version"]
    plugins = re.findall(r'^VERSION = "(.+)"$', (ROOT / "plugins/plugin_utils/core.py").read_text(), re.MULTILINE)
    environment = re.findall(r"^kaudit==(.+)$", (ROOT / "meta/ee-requirements.txt").read_text(), re.MULTILINE)

    assert [[kaudit_core.__version__]] * 4 == [[package], [collection], plugins, environment]


@pytest.mark.parametrize("path", FRAGMENTS, ids=lambda path: path.name)
def test_fragment_is_valid(path: Path) -> None:
    """A changelog fragment holds lists of sentences under known sections."""
    fragment = yaml.safe_load(path.read_text())

    assert set() == set(fragment) - SECTIONS
    assert all(isinstance(sentence, str) for sentences in fragment.values() for sentence in sentences)


def test_live_tokens_are_not_in_the_corpus() -> None:
    """Every token in the corpus is an obvious fake."""
    live = re.compile(rb"eyJ(?!FAKE-)[\w-]{10,}\.(?:eyJ)?[\w-]{10,}\.[\w-]{10,}")
    holding = [path for path in files() if "corpus" in path.parts and live.search(path.read_bytes())]

    assert [] == relative(holding)


def test_messages_of_tasks_are_one_line() -> None:
    """YAML keeps the line breaks around lines that stand further in, and an error is one line."""

    def broken(value: object) -> list[str]:
        if isinstance(value, list):
            return [each for item in value for each in broken(item)]
        if not isinstance(value, dict):
            return []
        found = [text for key, text in value.items() if key == "msg" and isinstance(text, str) and "\n" in text]
        return [*found, *broken(list(value.values()))]

    tasks = [path for part in ("roles", "playbooks") for path in (ROOT / part).rglob("*.yml")]
    assert [] == [text for path in tasks for text in broken(yaml.safe_load(path.read_text()))]
