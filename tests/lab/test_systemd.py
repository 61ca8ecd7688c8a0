"""Units are read as systemd itself reads them: `systemd-analyze verify` says what it would start. No host is booted."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from kaudit_core.provisioning.k3s.edit import apply
from kaudit_core.provisioning.k3s.unit import UnitFile, command_of
from kaudit_core.provisioning.k3s.words import quoted
from kaudit_core.provisioning.refusal import EditRefused
from tests.lab.packages import need_packages, obstacle
from tests.provisioning.units import INTENT, PACKAGED_RKE2, WITH_ARGUMENTS, WITHOUT_ARGUMENTS, k3s

pytestmark = pytest.mark.lab
# A unit of its own, without the targets that others wait for.
HEAD = "[Unit]\nDefaultDependencies=no\n"
UNITS = {
    **{f"without-{n}": t for n, t in WITHOUT_ARGUMENTS.items()},
    **{f"with-{n}": t for n, t in WITH_ARGUMENTS.items()},
}
CONTROLS = dict(zip("abfnrtv", "\a\b\f\n\r\t\v", strict=True))
_SHOWN = re.compile(r'"((?:[^"\\]|\\.)*)"|(\S+)')


@pytest.fixture(scope="module", autouse=True)
def systemd() -> None:
    """The program asked, or a skip that says why it isn't there."""
    if reason := obstacle():
        pytest.skip(reason)
    need_packages()


def started(units: Mapping[str, str]) -> dict[str, list[str]]:
    """What systemd would start for each text: program and arguments; nothing for one that it does not load."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        files = {f"{unit}.service": HEAD + text for unit, text in units.items()}
        for file, text in files.items():
            (directory / file).write_bytes(text.encode())
        done = subprocess.run(
            ["systemd-analyze", "verify", *(str(directory / file) for file in files)],
            env={
                **os.environ,
                "SYSTEMD_UNIT_PATH": name,
                "SYSTEMD_LOG_LEVEL": "debug",
                "SYSTEMD_LOG_TARGET": "console",
            },
            capture_output=True,
            check=False,
            timeout=120,
        )
    made: dict[str, list[str]] = {}
    unit = setting = ""
    for line in (done.stdout + done.stderr).decode(errors="replace").splitlines():
        if found := re.fullmatch(r"\s*-> Unit (\S+)\.service:", line):
            unit = found[1]
        elif found := re.fullmatch(r"\s*-> (Exec\w+):", line):
            setting = found[1]
        elif (found := re.fullmatch(r"\s*Command Line: (.*)", line)) and unit in units and setting == "ExecStart":
            made[unit] = [_unquoted(*word) for word in _SHOWN.findall(found[1])]
    return made


def _unquoted(inside: str, bare: str) -> str:
    return re.sub(r"\\(.)", lambda sign: CONTROLS.get(sign[1], sign[1]), inside) or bare


def read(text: str) -> list[str]:
    """What we read; variables are put in by both only when the program starts."""
    command = command_of([UnitFile("u.service", text)])
    return [command.program.value, *(word.value for word in command.words)]


def test_every_style_is_read_as_systemd_reads_it() -> None:
    """As found and as edited."""
    texts = {**UNITS, "rke2": PACKAGED_RKE2}
    for name, text in UNITS.items():
        files = k3s(text)
        texts[f"{name}-edited"] = files.changed(apply(files, INTENT)).unit_files[0].text

    assert {name: read(text) for name, text in texts.items()} == started(texts)


# Each example is many units, so a shorter one is not worth the minutes.
FEW = settings(max_examples=8, deadline=None, phases=[Phase.explicit, Phase.generate])
PIECES = st.sampled_from(
    [
        *("a", "b=c", "--x", " ", "  ", "'", '"', "\\\\", "\\'", '\\"', "\\t", "\\s", "\\x41", "\\101", "\\u00fc"),
        *(
            "%%",
            "$A",
            "${A}",
            "$$",
            "\\\n",
            " \\\n  ",
            " \\\n# note\n",
            " \\\n ; note\n",
            "#",
            ";x",
            "\u00fc",
            "\\q",
            "\\",
        ),
    ]
)


@FEW
@given(st.lists(st.lists(PIECES, max_size=12).map("".join), min_size=20, max_size=60))
def test_any_words_are_read_as_systemd_reads_them(lines: list[str]) -> None:
    """What we don't refuse means to us what it means to systemd."""
    texts, expected = {}, {}
    for number, line in enumerate(lines):
        text = f"[Service]\nExecStart=/opt/k3s server {line}\nRestart=always\n"
        try:
            expected[f"u{number}"] = read(text)
        except EditRefused:
            continue
        texts[f"u{number}"] = text

    assert expected == (started(texts) if texts else {})


VISIBLE = st.characters(min_codepoint=33, max_codepoint=0x2FF, exclude_categories=["Cc", "Cf", "Zs", "Zl", "Zp"])
VALUES = st.text(VISIBLE | st.just(" "), max_size=12)


@FEW
@given(st.lists(st.tuples(VALUES, st.sampled_from(["", "'", '"'])), min_size=20, max_size=60))
def test_what_is_written_means_what_was_wanted(values: list[tuple[str, str]]) -> None:
    """Any value, in any quotes."""
    texts = {
        f"u{number}": f"[Service]\nExecStart=/opt/k3s server {quoted('--x=' + value, quote)}\n"
        for number, (value, quote) in enumerate(values)
    }

    expected = {
        f"u{n}": ["/opt/k3s", "server", f"--x={value}".replace("$", "$$")] for n, (value, _) in enumerate(values)
    }
    assert expected == started(texts)
