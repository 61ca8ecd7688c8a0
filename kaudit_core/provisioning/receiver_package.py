"""What is installed on a receiver's host: wheels gathered on the controller, so that hosts need no index."""

from __future__ import annotations

import hashlib
import io
import json
import re
import tarfile
import zipfile
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import kaudit_core

VERSION = kaudit_core.__version__
REQUIREMENT = f"kaudit[receive]=={VERSION}"
OLDEST_PYTHON = (3, 11)
WHEELS = "wheels"
_EPOCH = (1980, 1, 1, 0, 0, 0)
_TAG = "Wheel-Version: 1.0\nGenerator: kaudit\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
LOOK = """
import json, platform, sys
libc = platform.libc_ver()
print(json.dumps({"version": sys.version_info[:2], "machine": platform.machine(), "libc": libc}))
"""
"""What a host's Python is asked: the answer is a Target."""


class PackageRefused(ValueError):
    """Nothing can be installed: why, and what to do."""


@dataclass(frozen=True)
class Target:
    """A host's Python, for which wheels are chosen."""

    version: tuple[int, int]
    machine: str
    libc: tuple[str, str]

    @classmethod
    def read(cls, answer: str, python: str) -> Target:
        """Read what LOOK printed."""
        told = json.loads(answer)
        made = cls((told["version"][0], told["version"][1]), told["machine"], (told["libc"][0], told["libc"][1]))
        if made.version < OLDEST_PYTHON:
            raise PackageRefused(
                f"audit_receiver_python: {python} is Python {made.dotted}; name one that is 3.11 or newer"
            )
        return made

    @property
    def dotted(self) -> str:
        """Its version as 3.11."""
        return ".".join(map(str, self.version))

    def platforms(self) -> list[str]:
        """The platform tags of wheels that run there, the newest first."""
        kind, found = self.libc
        minor = int((found.split(".") + ["0"])[1]) if kind == "glibc" else 0
        if kind == "glibc":
            newer = [f"manylinux_2_{number}_{self.machine}" for number in range(minor, 4, -1)]
            return [*newer, f"manylinux2014_{self.machine}"]
        return [f"musllinux_1_{number}_{self.machine}" for number in range(2, 0, -1)]

    def key(self, *more: str) -> str:
        """A name for what is downloaded for such a Python."""
        words = [self.dotted, self.machine, *self.libc, *more]
        return hashlib.sha256("\0".join(words).encode()).hexdigest()[:16]


def download(python: str, target: Target, requirement: str, index: str, folder: Path) -> list[str]:
    """The command that gathers the wheels of a requirement, and pip, for another Python."""
    options = [f"--python-version={target.dotted}", "--implementation=cp", "--only-binary=:all:", "--no-cache-dir"]
    options += [f"--platform={tag}" for tag in target.platforms()] + ([f"--index-url={index}"] if index else [])
    quiet = ["--quiet", "--disable-pip-version-check", "--no-input", f"--dest={folder}"]
    return [python, "-m", "pip", "download", *quiet, *options, requirement, "pip"]


def download_problem(output: str, requirement: str) -> str:
    """Why the download failed, in one line."""
    errors = [line for line in output.splitlines() if line.startswith("ERROR: ")] or output.splitlines()[-1:]
    said = errors[-1].removeprefix("ERROR: ") if errors else "no output"
    if "No module named pip" in output:
        said = "the Python that runs ansible-playbook has no pip"
    return (
        f"{requirement}: its wheels can't be downloaded on the controller: {said}; check audit_receiver_index_url, or"
        " give a directory of wheels as audit_receiver_wheelhouse"
    )


def own_wheel() -> tuple[str, bytes]:
    """This package as a wheel for any Python: the same bytes for the same files. Without the compiled matcher."""
    package = Path(kaudit_core.__file__).parent
    files = {
        f"kaudit_core/{path.relative_to(package).as_posix()}": path.read_bytes()
        for path in sorted(package.rglob("*"))
        if path.suffix in (".py", ".yaml") or path.name == "py.typed"
    }
    info = f"kaudit-{VERSION}.dist-info"
    files[f"{info}/METADATA"] = _metadata().encode()
    files[f"{info}/WHEEL"] = _TAG.encode()
    files[f"{info}/entry_points.txt"] = b"[console_scripts]\nkaudit = kaudit_core.cli.main:main\n"
    rows = [f"{name},{_record_digest(data)},{len(data)}" for name, data in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,", ""]).encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), data, zipfile.ZIP_DEFLATED)
    return f"kaudit-{VERSION}-py3-none-any.whl", buffer.getvalue()


def _metadata() -> str:
    """Name, version and requirements, as the installed package has them."""
    try:
        found = metadata.distribution("kaudit")
    except metadata.PackageNotFoundError:
        raise PackageRefused(
            "the package kaudit is not installed, only a clone lies here, so its requirements are not known: run"
            " `pip install --editable .` in the clone, or set audit_receiver_package or audit_receiver_wheelhouse"
        ) from None
    if found.version != VERSION:
        raise PackageRefused(f"kaudit is installed as {found.version} but runs as {VERSION}; install it again")
    extras = [f"Provides-Extra: {name}" for name in found.metadata.get_all("Provides-Extra") or []]
    needs = [f"Requires-Dist: {one}" for one in found.metadata.get_all("Requires-Dist") or []]
    lines = ["Metadata-Version: 2.1", "Name: kaudit", f"Version: {VERSION}", "Requires-Python: >=3.11", *extras, *needs]
    return "\n".join([*lines, "", ""])


def _record_digest(data: bytes) -> str:
    return "sha256=" + urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def release(wheels: Mapping[str, bytes], requirement: str, target: Target) -> tuple[str, bytes]:
    """The name of what is installed, from all its bytes, and a tar archive of it."""
    if not any(re.match(r"pip-[0-9]", name) for name in wheels):
        raise PackageRefused(
            "audit_receiver_wheelhouse: no wheel of pip in it, which installs the others: `pip download pip` into it"
        )
    if not any(name.lower().startswith("kaudit-") for name in wheels):
        raise PackageRefused("audit_receiver_wheelhouse: no wheel of kaudit in it; put one there")
    sums = [f"{name} {hashlib.sha256(data).hexdigest()}" for name, data in sorted(wheels.items())]
    name = hashlib.sha256("\n".join([target.dotted, requirement, *sums]).encode()).hexdigest()[:16]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for file, data in sorted(wheels.items()):
            member = tarfile.TarInfo(f"{WHEELS}/{file}")
            member.size, member.mode = len(data), 0o644
            archive.addfile(member, io.BytesIO(data))
    return name, buffer.getvalue()


def pip_wheel(names: Sequence[str]) -> str:
    """The wheel of pip: it installs without being installed."""
    return max(name for name in names if re.match(r"pip-[0-9]", name))
