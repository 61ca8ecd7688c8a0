"""What `make bundle` makes, installed by its own instructions where there is no network."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def bundled(directory: Path, *extras: str) -> subprocess.CompletedProcess[str]:
    """Make the bundle."""
    command = [str(ROOT / "tools" / "bundle.sh"), sys.executable, str(directory), *extras]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def run(command: str, at: Path) -> subprocess.CompletedProcess[str]:
    """A line of shell; as root, in a network namespace of its own, which has no interfaces."""
    apart = ["unshare", "--net"] if os.geteuid() == 0 else []
    environment = {
        "HOME": str(at),
        "PATH": "/usr/bin:/bin",
        "LC_ALL": "C.UTF-8",
        "PIP_INDEX_URL": "http://127.0.0.1:9/",
    }
    return subprocess.run(
        [*apart, "sh", "-c", command], cwd=at, env=environment, capture_output=True, text=True, check=False
    )


def test_a_bundle_is_installed_by_its_own_instructions(tmp_path: Path) -> None:
    """Every command of INSTALL works without a network, and the playbooks are there."""
    bundle = tmp_path / "bundle"
    made = bundled(bundle, "ansible")
    assert 0 == made.returncode, made.stderr
    commands = re.findall(r"^    (.+)$", (bundle / "INSTALL").read_text(), re.MULTILINE)

    assert ["sha256sum", "python3", "kaudit/bin/pip", "ansible-galaxy"] == [line.split()[0] for line in commands]
    for command in commands[:-1]:
        done = run(command.replace("python3", sys.executable), bundle)
        assert 0 == done.returncode, done.stdout + done.stderr
    assert 0 == run(f"kaudit/bin/{commands[-1]}", bundle).returncode
    assert "native, reference" in run("kaudit/bin/kaudit version", bundle).stdout
    refused = run("kaudit/bin/ansible-playbook kaudit.k8s.enable -i m1,", bundle)
    assert "no hosts matched" in refused.stdout + refused.stderr
    assert run("sha256sum --check --quiet SHA256SUMS && echo whole", bundle).stdout == "whole\n"
    assert run("echo >>INSTALL && sha256sum --check --quiet SHA256SUMS", bundle).returncode == 1


def test_a_bundle_never_replaces_what_is_there(tmp_path: Path) -> None:
    """A directory that is there stays as it is."""
    (tmp_path / "bundle").mkdir()
    made = bundled(tmp_path / "bundle")

    assert (1, True) == (made.returncode, "is there already" in made.stderr)
    assert [] == list((tmp_path / "bundle").iterdir())
    assert [tmp_path / "bundle"] == list(tmp_path.iterdir())
