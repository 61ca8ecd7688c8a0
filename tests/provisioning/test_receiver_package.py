"""The wheels that the role audit_receiver brings to a host."""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from kaudit_core.provisioning.receiver_package import (
    LOOK,
    VERSION,
    PackageRefused,
    Target,
    download,
    download_problem,
    own_wheel,
    pip_wheel,
    release,
)

GLIBC = Target((3, 11), "x86_64", ("glibc", "2.36"))
WHEELS = {"kaudit-1.whl": b"one", "pip-25.0-py3-none-any.whl": b"two"}


def test_a_python_tells_what_it_takes() -> None:
    """The question is asked of a real one."""
    answer = subprocess.run([sys.executable, "-c", LOOK], check=True, capture_output=True, text=True).stdout

    assert sys.version_info[:2] == Target.read(answer, "python3").version


def test_an_old_python_is_refused() -> None:
    answer = '{"version": [3, 9], "machine": "x86_64", "libc": ["glibc", "2.28"]}'

    with pytest.raises(PackageRefused, match=r"audit_receiver_python: /bin/python3 is Python 3\.9; name one that is"):
        Target.read(answer, "/bin/python3")


def test_wheels_are_chosen_for_the_hosts_python_not_for_this_one() -> None:
    command = download("python", Target((3, 13), "aarch64", ("", "")), "kaudit", "https://index.example", Path("to"))

    assert {"--python-version=3.13", "--platform=musllinux_1_2_aarch64", "--index-url=https://index.example"} < {
        *command
    }
    assert "--platform=manylinux_2_36_x86_64" in download("python", GLIBC, "kaudit", "", Path("to"))
    assert "--platform=manylinux_2_37_x86_64" not in download("python", GLIBC, "kaudit", "", Path("to"))


def test_a_failed_download_is_told_in_one_line() -> None:
    said = download_problem("Looking\nERROR: No matching distribution found for x\n", "kaudit==9")

    assert said.startswith("kaudit==9: its wheels can't be downloaded on the controller: No matching distribution")
    assert "\n" not in said


def test_this_package_is_a_wheel_with_its_requirements(tmp_path: Path) -> None:
    """Made of the files that run, the same bytes each time; another Python imports it from there."""
    name, data = own_wheel()
    (tmp_path / name).write_bytes(data)
    with zipfile.ZipFile(tmp_path / name) as wheel:
        told = wheel.read(f"kaudit-{VERSION}.dist-info/METADATA").decode()
        wheel.extractall(tmp_path / "site")
    inside = {str(path.relative_to(tmp_path / "site")) for path in (tmp_path / "site/kaudit_core").rglob("*")}
    clone = Path(__file__).resolve().parents[2]
    files = [path for path in (clone / "kaudit_core").rglob("*") if path.suffix in (".py", ".yaml")]
    needed = [path.relative_to(clone) for path in files]
    asked = "import kaudit_core.receiver.spool as s; print(s.__file__)"
    run = subprocess.run(
        [sys.executable, "-S", "-c", asked], env={"PYTHONPATH": str(tmp_path / "site")}, capture_output=True, text=True
    )

    assert own_wheel() == (name, data)
    assert needed and {str(path) for path in needed} <= inside
    assert "uvicorn" in told and "Provides-Extra: receive" in told
    assert str(tmp_path / "site") in run.stdout or "No module named 'msgspec'" in run.stderr, run.stderr


def test_a_release_is_named_by_all_its_bytes() -> None:
    name, archive = release(WHEELS, "kaudit", GLIBC)

    assert (name, archive) == release(dict(reversed(WHEELS.items())), "kaudit", GLIBC)
    assert name != release({**WHEELS, "kaudit-1.whl": b"other"}, "kaudit", GLIBC)[0]
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        assert [f"wheels/{each}" for each in WHEELS] == opened.getnames()
    assert "pip-25.0-py3-none-any.whl" == pip_wheel(list(WHEELS))


@pytest.mark.parametrize(
    ("missing", "said"), [("pip-25.0-py3-none-any.whl", "no wheel of pip"), ("kaudit-1.whl", "no wheel of kaudit")]
)
def test_a_directory_that_lacks_a_wheel_is_refused(missing: str, said: str) -> None:
    with pytest.raises(PackageRefused, match=f"audit_receiver_wheelhouse: {said}"):
        release({name: data for name, data in WHEELS.items() if name != missing}, "kaudit", GLIBC)
