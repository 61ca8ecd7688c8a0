"""The three ways to install kaudit, each on a controller that has nothing of it: wheel, Galaxy tarball, clone."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

import kaudit_core
from tests.packaging.controller import Controller, make_controller

ROOT = Path(__file__).resolve().parents[2]
VERSION = kaudit_core.__version__
PLACE = "ansible_collections/kaudit/k8s/"
# Nobody answers at an address that is kept for documentation.
HOSTS = "[masters]\nmaster-1 ansible_host=192.0.2.1\n"
NO_POLICY = "audit_policy_preset, audit_policy_file or audit_policy_content: none is set; set one of them"
INSTALL = f"install it into the Python that runs ansible-playbook: pip install kaudit=={VERSION}"
# What a clone collects in the course of time.
LITTER = [
    ".venv/lib/module.py",
    "build/lib/kaudit_core/__init__.py",
    "dist/kaudit-0.0.1.tar.gz",
    "kaudit-receiver/authority/ca.key",
    "kaudit-report/index.txt",
    "plugins/action/_native.cpython-311.so",
    "plugins/action/__pycache__/policy.cpython-311.pyc",
]


@dataclass(frozen=True)
class Built:
    """What is built of a clone."""

    files: list[Path]
    clone: Path
    wheel: Path
    source: Path
    wheel_of_source: Path
    tarball: Path


def tracked() -> list[Path]:
    """The repository's own files and links, as they are now, those that git doesn't know yet too."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    paths = {Path(name) for name in listed.split("\0") if name}
    return sorted(path for path in paths if (ROOT / path).is_symlink() or (ROOT / path).exists())


def copy_clone(files: list[Path], clone: Path) -> Path:
    """A clone, with uncommitted changes and litter."""
    for path in files:
        (clone / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / path, clone / path, follow_symlinks=False)
    for name in LITTER:
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        (clone / name).write_text("")
    return clone


def build(*command: str, at: Path, extension: bool = False) -> None:
    """Build with the tools of this Python: no network, and no compiler where it isn't the matter."""
    switch = "" if extension else "1"
    environment = {"HOME": str(at), "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "KAUDIT_NO_EXTENSION": switch}
    subprocess.run([sys.executable, "-m", *command], cwd=at, env=environment, check=True, capture_output=True)


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The wheel, the wheel of the source distribution, and the Galaxy tarball."""
    scratch = tmp_path_factory.mktemp("built")
    files = tracked()
    clone = copy_clone(files, scratch / "clone")
    build("ansible", "galaxy", "collection", "build", "--output-path", str(scratch / "galaxy"), ".", at=clone)
    build("build", "--no-isolation", "--outdir", str(scratch / "source"), ".", at=clone)
    shutil.rmtree(clone / "build")
    build("build", "--no-isolation", "--wheel", "--outdir", str(scratch / "wheel"), ".", at=clone)
    return Built(
        files,
        clone,
        next(scratch.glob("wheel/*.whl")),
        next(scratch.glob("source/*.tar.gz")),
        next(scratch.glob("source/*.whl")),
        next(scratch.glob("galaxy/*.tar.gz")),
    )


@pytest.fixture
def controller(tmp_path: Path) -> Controller:
    """A controller with an inventory and without kaudit."""
    made = make_controller(tmp_path)
    (tmp_path / "hosts").write_text(HOSTS)
    assert 0 != made.run("-c", "import kaudit_core").returncode
    return made


def install_wheel(controller: Controller, built: Built) -> None:
    """What `pip install kaudit` does, but for dependencies."""
    target = str(controller.site_packages)
    build("pip", "install", "--no-index", "--no-deps", "--target", target, str(built.wheel), at=controller.home)


def install_tarball(controller: Controller, built: Built) -> None:
    """What somebody does who has the tarball."""
    done = controller.ansible("galaxy", "collection", "install", "--offline", str(built.tarball))
    assert (0, "") == (done.returncode, done.stderr)


def refusal(controller: Controller, playbook: str, at: Path | None = None) -> tuple[int, list[str], bool]:
    """How a playbook ends on a host that doesn't answer: exit code, why it failed, whether it tried to connect."""
    done = controller.ansible("playbook", playbook, "-i", str(controller.home / "hosts"), at=at)
    output = done.stdout + done.stderr
    failures = [
        json.loads(result)["msg"] for result in re.findall(r"^fatal: .*? FAILED! => (.*)$", output, re.MULTILINE)
    ]
    # ansible-core 2.19 puts the same two words before every error of a plugin.
    return done.returncode, [line.removeprefix("Task failed: ") for line in failures], "UNREACHABLE" in output


def lint_preset(controller: Controller, preset: str, at: Path | None = None) -> tuple[int, list[str]]:
    """How the role's lint of a preset ends on the controller: exit code, and why it failed."""
    role = {"name": "kaudit.k8s.audit_policy", "tasks_from": "lint"}
    task = {"name": "Lint", "ansible.builtin.import_role": role, "vars": {"audit_policy_preset": preset}}
    play = {"name": "Lint", "hosts": "localhost", "gather_facts": False, "tasks": [task]}
    (controller.home / "lint.yml").write_text(json.dumps([play]))
    done = controller.ansible("playbook", str(controller.home / "lint.yml"), "-i", "localhost,", at=at)
    return done.returncode, re.findall(r"FAILED! => (.*)$", done.stdout + done.stderr, re.MULTILINE)


def in_wheel(wheel: Path) -> set[str]:
    """The names in a wheel."""
    return set(zipfile.ZipFile(wheel).namelist())


def in_tarball(tarball: Path) -> set[str]:
    """The names of files and links in the tarball."""
    with tarfile.open(tarball) as opened:
        return {member.name for member in opened.getmembers() if not member.isdir()}


def below(built: Built, *names: str) -> set[str]:
    """The repository's files in folders and of names."""
    return {str(path) for path in built.files if path.parts[0] in names}


def test_the_wheel_holds_the_package_and_the_collection(built: Built) -> None:
    """Every file that git knows in the collection's folders is there, and nothing of the rest of the clone."""
    collection = below(built, "galaxy.yml", "LICENSE", "README.md", "meta", "playbooks", "plugins", "roles")
    inside = {name for name in in_wheel(built.wheel) if name.startswith("ansible_collections")}
    others = {name.split("/")[0] for name in in_wheel(built.wheel) - inside}

    assert {PLACE + name for name in collection} == inside
    assert {"kaudit_core", f"kaudit-{VERSION}.dist-info"} == others


def test_the_source_distribution_makes_the_same_wheel(built: Built) -> None:
    """A wheel of the source distribution holds what a wheel of the clone holds."""
    assert in_wheel(built.wheel) == in_wheel(built.wheel_of_source)


def test_the_source_distribution_holds_all_that_the_extension_is_made_of(built: Built) -> None:
    """A header that the list misses would be missed only where the wheel is built: elsewhere the clone has it."""
    made_of = {str(path) for path in built.files if path.suffix in (".hpp", ".pxd", ".pyi", ".pyx")}
    root = f"kaudit-{VERSION}/"

    assert made_of == {name for name in made_of if root + name in in_tarball(built.source)}
    assert {"kaudit_core/matcher/_native.pyx", "kaudit_core/matcher/reader.hpp"} < made_of


@pytest.mark.skipif(not Path("/usr/bin/g++").exists(), reason="no C++ compiler: install g++")
def test_the_source_distribution_makes_a_wheel_for_every_later_python(built: Built, tmp_path: Path) -> None:
    """With a compiler, what comes out holds one module of the stable ABI and nothing that it was made of."""
    with tarfile.open(built.source) as opened:
        opened.extractall(tmp_path, filter="data")
    source = tmp_path / f"kaudit-{VERSION}"
    build("build", "--no-isolation", "--wheel", "--outdir", str(tmp_path), ".", at=source, extension=True)
    wheel = next(tmp_path.glob("*.whl"))

    assert {"kaudit_core/matcher/_native.abi3.so"} == in_wheel(wheel) - in_wheel(built.wheel_of_source)
    assert wheel.name.startswith(f"kaudit-{VERSION}-cp311-abi3-")


def test_the_wheel_holds_the_presets(built: Built) -> None:
    """Data is left out of a wheel unless it is listed."""
    presets = {str(path) for path in built.files if path.parts[-2:-1] == ("presets",) and path.suffix == ".yaml"}

    assert 7 == len(presets)
    assert presets == presets & in_wheel(built.wheel)


def test_a_preset_of_the_wheel_is_composed(controller: Controller, built: Built) -> None:
    """Read from the package, and linted by the role."""
    install_wheel(controller, built)

    assert (0, []) == lint_preset(controller, "secure")


def test_the_tarball_holds_the_collection_only(built: Built) -> None:
    """Neither package, tests, tools, ansible.cfg, the link nor litter get into the tarball."""
    documents = below(built, "CONTRIBUTING.md", "LICENSE", "README.md", "changelogs", "docs")
    collection = below(built, "meta", "playbooks", "plugins", "roles")

    assert documents | collection | {"MANIFEST.json", "FILES.json"} == in_tarball(built.tarball)


def test_a_stray_link_to_the_clone_is_not_followed(built: Built, tmp_path: Path) -> None:
    """A link back to the root adds one name to the tarball."""
    shutil.copytree(built.clone, tmp_path / "clone", symlinks=True)
    (tmp_path / "clone" / "docs" / "stray").symlink_to("..")
    build("ansible", "galaxy", "collection", "build", "--output-path", str(tmp_path), ".", at=tmp_path / "clone")

    assert {"docs/stray"} == in_tarball(next(tmp_path.glob("*.tar.gz"))) - in_tarball(built.tarball)


def test_the_wheel_brings_the_playbooks(controller: Controller, built: Built) -> None:
    """After pip install, the collection is listed with its version and the playbook runs up to the missing policy."""
    install_wheel(controller, built)

    assert (2, [NO_POLICY], False) == refusal(controller, "kaudit.k8s.enable")
    assert f"kaudit.k8s {VERSION}" in " ".join(controller.ansible("galaxy", "collection", "list").stdout.split())


def test_the_tarball_without_the_package_says_what_to_install(controller: Controller, built: Built) -> None:
    """The first task stops with the pip command at the end of one line."""
    install_tarball(controller, built)
    expected = f"the Python package kaudit is missing; {INSTALL}"

    assert (2, [expected], False) == refusal(controller, "kaudit.k8s.enable")


def test_the_tarball_with_the_package_runs(controller: Controller, built: Built) -> None:
    """With the package of the same version the playbook runs up to the missing policy."""
    install_wheel(controller, built)
    shutil.rmtree(controller.site_packages / "ansible_collections")
    install_tarball(controller, built)

    assert (2, [NO_POLICY], False) == refusal(controller, "kaudit.k8s.enable")


def test_another_version_of_the_package_is_refused(controller: Controller, built: Built) -> None:
    """One line names both versions and the command that mends it."""
    install_tarball(controller, built)
    (controller.site_packages / "kaudit_core").mkdir()
    (controller.site_packages / "kaudit_core" / "__init__.py").write_text('__version__ = "0.0.9"\n')
    versions = f"the collection kaudit.k8s is {VERSION} and the Python package kaudit is 0.0.9"

    assert (2, [f"{versions}; {INSTALL}"], False) == refusal(controller, "kaudit.k8s.enable")


@pytest.mark.parametrize("playbook", ["playbooks/enable.yml", "kaudit.k8s.enable"])
def test_a_clone_runs_as_it_is(controller: Controller, built: Built, playbook: str) -> None:
    """In a clone, ansible-core is all that has to be installed."""
    expected = (2, [NO_POLICY], False)

    assert expected == refusal(controller, playbook, at=built.clone)


def test_a_preset_of_a_clone_is_composed(controller: Controller, built: Built) -> None:
    """The package beside the collection has the data too."""
    assert (0, []) == lint_preset(controller, "ack", at=built.clone)
