"""A controller of its own: a Python with ansible-core and what that needs, and nothing of kaudit."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement


def distributions(name: str) -> dict[str, metadata.Distribution]:
    """An installed distribution and all it requires, by name."""
    found: dict[str, metadata.Distribution] = {}
    wanted = [name]
    while wanted:
        name = wanted.pop()
        if name in found:
            continue
        found[name] = metadata.distribution(name)
        requirements = map(Requirement, found[name].requires or [])
        wanted += [item.name for item in requirements if item.marker is None or item.marker.evaluate({"extra": ""})]
    return found


def installed_paths(name: str) -> set[Path]:
    """What a distribution and its requirements have put at the top of site-packages."""
    return {
        Path(str(each.locate_file(file.parts[0])))
        for each in distributions(name).values()
        for file in each.files or []
        if file.parts[0] not in ("..", "__pycache__")
    }


@dataclass(frozen=True)
class Controller:
    """Where somebody runs ansible-playbook."""

    home: Path

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.home / "venv" / "bin" / "python"

    @property
    def site_packages(self) -> Path:
        """Where its packages are."""
        return next(self.home.glob("venv/lib/python*/site-packages"))

    def run(self, *arguments: str, at: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run its Python in a directory, with nothing of our environment."""
        environment = {"HOME": str(self.home), "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "COLUMNS": "80"}
        # -P: what lies in the working directory is found only if Ansible finds it.
        command = [str(self.python), "-P", *arguments]
        return subprocess.run(
            command, cwd=at or self.home, env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    def ansible(self, program: str, *arguments: str, at: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run one of ansible-core's programs, `playbook` for ansible-playbook."""
        return self.run("-m", "ansible", program, *arguments, at=at)


def make_controller(home: Path) -> Controller:
    """A controller with ansible-core only: its packages are links to those of the Python that runs the tests."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(home / "venv")], check=True)
    controller = Controller(home)
    for path in installed_paths("ansible-core"):
        (controller.site_packages / path.name).symlink_to(path)
    return controller
