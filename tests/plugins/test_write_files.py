"""The action that writes a deployment's files, in a real play on this machine."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import yaml

from kaudit_core.provisioning.files import FileChange

ROOT = Path(__file__).resolve().parents[2]
# Text that Ansible's own `content` would take for a value and write in another way.
JSON = '{"kind":   "Pod"}\n'

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the files are root's")


def sha256(text: str) -> str:
    """Of a file's text."""
    return hashlib.sha256(text.encode()).hexdigest()


def change(path: Path, after: str | None, before: str | None = None, **more: Any) -> FileChange:
    """A file with its text before and after, None where it isn't there."""
    sums = ["" if text is None else sha256(text) for text in (before, after)]
    return FileChange(str(path), sums[0], sums[1], **{"text": after, **more})


def write(folder: Path, changes: list[FileChange], contents: dict[str, Any], *options: str) -> tuple[int, str]:
    """Run the action; return the play's exit code and its words on one line."""
    (folder / "ansible_collections" / "kaudit").mkdir(parents=True, exist_ok=True)
    if not (folder / "ansible_collections" / "kaudit" / "k8s").exists():
        (folder / "ansible_collections" / "kaudit" / "k8s").symlink_to(ROOT)
    task = {"kaudit.k8s.write_files": {"files": "{{ files }}", "contents": "{{ contents }}"}, "name": "Write"}
    given = {"files": [asdict(each) for each in changes], "contents": contents}
    play = {"name": "Write", "hosts": "localhost", "gather_facts": False, "vars": given, "tasks": [task]}
    (folder / "ansible.cfg").touch()
    (folder / "play.yml").write_text(yaml.safe_dump([play]))
    environment = {"ANSIBLE_COLLECTIONS_PATH": str(folder), "ANSIBLE_CONFIG": str(folder / "ansible.cfg")}
    environment |= {"ANSIBLE_PYTHON_INTERPRETER": sys.executable, "ANSIBLE_HOME": str(folder / "home")}
    program = str(Path(sys.executable).parent / "ansible-playbook")
    done = subprocess.run(
        [program, "-i", "localhost,", "-c", "local", *options, "play.yml"],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, " ".join((done.stdout + done.stderr).split())


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """A directory with what is on the host."""
    made = tmp_path / "host"
    made.mkdir()
    (made / "there").write_text("old\n")
    (made / "there").chmod(0o640)
    (made / "gone").write_text("gone\n")
    (made / "kept").write_text("kept\n")
    return made


def all_kinds(host: Path) -> list[FileChange]:
    """Every kind of change."""
    return [
        change(host / "new" / "policy", "policy\n", text=None, mode="0600"),
        change(host / "back", "kept\n", text=None, source=str(host / "kept"), mode="preserve"),
        change(host / "gone", None, "gone\n"),
        change(host / "there", JSON, "old\n", starts=True),
        change(host / "secret", "token\n", secret=True),
    ]


def test_every_kind_of_change(tmp_path: Path, host: Path) -> None:
    """New, from a copy on the host, taken away, replaced with its mode kept; a secret is not shown."""
    (tmp_path / "policy").write_text("policy\n")
    contents = {str(host / "new" / "policy"): {"file": str(tmp_path / "policy")}}
    before = sorted(path.name for path in host.iterdir())
    checked = write(tmp_path, all_kinds(host), contents, "--check", "--diff")
    assert (0, before) == (checked[0], sorted(path.name for path in host.iterdir())), checked[1]

    code, said = write(tmp_path, all_kinds(host), contents, "--diff")

    assert 0 == code, said
    found = {str(path.relative_to(host)): path.read_text() for path in host.rglob("*") if path.is_file()}
    assert {"new/policy": "policy\n", "back": "kept\n", "kept": "kept\n", "there": JSON, "secret": "token\n"} == found
    modes = [oct((host / name).stat().st_mode & 0o777) for name in ("new", "new/policy", "there", "secret")]
    assert ["0o700", "0o600", "0o640", "0o600"] == modes
    assert f"+{JSON.strip()}".replace("   ", " ") in said
    assert "token" not in said
    for path in ("there", "gone", "new/policy"):
        assert str(host / path) in checked[1]


def test_a_file_that_somebody_changed_meanwhile_is_left_alone(tmp_path: Path, host: Path) -> None:
    """The rest is not written, and the file is named."""
    (host / "there").write_text("theirs\n")
    code, said = write(tmp_path, [change(host / "there", "x", "old\n"), change(host / "new", "x")], {})

    assert (2, "theirs\n", False) == (code, (host / "there").read_text(), (host / "new").exists())
    assert f"{host}/there: changed since it was read; run the play again" in said
