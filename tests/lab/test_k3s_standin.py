"""The stand-in for k3s follows the documented rules, and agrees with what the edits are computed from."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kaudit_core.provisioning.k3s.edit import apply
from kaudit_core.provisioning.k3s.server import read_server
from kaudit_core.provisioning.k3s.unit import UnitFile, command_of
from tests.lab import k3s_standin
from tests.provisioning.units import (
    CONFIG,
    CONFIGS,
    INTENT,
    MERGED,
    UNIT,
    WITH_ARGUMENTS,
    WITHOUT_ARGUMENTS,
    k3s,
    placed,
)


def arguments_given(directory: Path, configs: dict[str, str], flags: list[str]) -> list[str]:
    """What the stand-in gives its API server for these files and flags."""
    for path, text in configs.items():
        file = directory / Path(path).relative_to(Path(CONFIG).parent)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode())
    values = k3s_standin.settings([*flags, "--config", str(directory / "config.yaml")], {})
    return values.get("kube-apiserver-arg", [])


def flags_in(unit: str) -> list[str]:
    """What systemd gives the program behind `server`."""
    words = [word.value.replace("$$", "$") for word in command_of([UnitFile(UNIT, unit)]).words]
    return words[words.index("server") + 1 :] if "server" in words else words


@pytest.mark.parametrize(("configs", "expected"), [pytest.param(*row, id=name) for name, row in MERGED.items()])
def test_files_are_merged_as_documented(tmp_path: Path, configs: dict[str, str], expected: list[str]) -> None:
    """The table that the reader is tested with."""
    assert expected == arguments_given(tmp_path, placed(configs), [])


def test_documented_example(tmp_path: Path) -> None:
    """The example of the documentation has the documented result."""
    files = {
        "config.yaml": "token: boop\nnode-label:\n  - foo=bar\n  - bar=baz\n",
        "config.yaml.d/test1.yaml": "write-kubeconfig-mode: 600\nnode-taint:\n  - alice=bob:NoExecute\n",
        "config.yaml.d/test2.yaml": (
            "write-kubeconfig-mode: 777\nnode-label:\n  - other=what\n  - foo=three\n"
            "node-taint+:\n  - charlie=delta:NoSchedule\n"
        ),
    }
    (tmp_path / "config.yaml.d").mkdir()
    for name, text in files.items():
        (tmp_path / name).write_text(text)

    assert {
        "write-kubeconfig-mode": ["777"],
        "token": ["boop"],
        "node-label": ["other=what", "foo=three"],
        "node-taint": ["alice=bob:NoExecute", "charlie=delta:NoSchedule"],
    } == k3s_standin.merged([path.read_text() for path in k3s_standin.files_of(str(tmp_path / "config.yaml"))])


def test_command_line_overwrites_the_whole_list(tmp_path: Path) -> None:
    """Both forms of a flag, and the variable that names the file."""
    (tmp_path / "config.yaml").write_text("kube-apiserver-arg: [a=1]\ntoken: x\n")
    flags = ["--kube-apiserver-arg", "b=2", "--debug", "--kube-apiserver-arg=c=3"]
    values = k3s_standin.settings(flags, {"K3S_CONFIG_FILE": str(tmp_path / "config.yaml")})

    assert {"kube-apiserver-arg": ["b=2", "c=3"], "token": ["x"], "debug": ["true"]} == values


@pytest.mark.parametrize("configs", [pytest.param(each, id=name) for name, each in CONFIGS.items()])
@pytest.mark.parametrize("unit", [*WITH_ARGUMENTS.values(), *WITHOUT_ARGUMENTS.values()])
def test_reader_and_stand_in_agree(tmp_path: Path, unit: str, configs: dict[str, str]) -> None:
    """Two readings of one documentation, written apart, before and after an edit."""
    files = k3s(unit, configs)
    for each in (files, files.changed(apply(files, INTENT))):
        expected = [argument.value for argument in read_server(each).arguments]

        assert expected == arguments_given(tmp_path, dict(each.config_files), flags_in(each.unit_files[0].text))


def test_arguments_take_the_place_of_defaults() -> None:
    """As k3s does it: sorted by name, several values of one name in their order, `+` behind the default."""
    extra = ["b=2", "--a=1", "audit-log-compress", "d=x", "d=y", "e+=z"]
    expected = ["--a=1", "--audit-log-compress=true", "--b=2", "--c=0", "--d=x", "--d=y", "--e=0", "--e=z"]

    assert expected == k3s_standin.server_flags({"a": "0", "c": "0", "e": "0"}, extra)


@pytest.mark.parametrize("text", ["a: &x 1\n", "- a\n", "a:\n  b: c\n", "a: {b: c}\n", "a: 1\n- b\n", "a: |\n  x\n"])
def test_other_yaml_is_refused(text: str) -> None:
    """It never guesses."""
    with pytest.raises(k3s_standin.Refused):
        k3s_standin.parse_config(text)


def test_it_says_what_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody takes it for k3s."""
    assert 0 == k3s_standin.main(["--version"])
    assert 2 == k3s_standin.main(["agent"])

    shown = capsys.readouterr()
    assert "v1.35.4+k3s1 (kaudit's stand-in)" in shown.out
    assert "stand-in" in shown.err
    assert "This is not k3s" in (k3s_standin.__doc__ or "")


ROOT = Path(__file__).resolve().parents[2]
# The stand-in with another program than the API server, which counts as ready at once.
WITH_OTHER_PROGRAM = """
import sys
from tests.lab import k3s_standin
k3s_standin.PROGRAM, k3s_standin.is_ready = sys.argv[1], lambda: True
sys.exit(k3s_standin.main(["server", "--config", sys.argv[2]]))
"""


class Service:
    """The stand-in as systemd would start it, with a script in the place of the API server."""

    def __init__(self, directory: Path, script: str) -> None:
        program, config, self.said = directory / "program", directory / "config.yaml", directory / "said"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        config.write_text("kube-apiserver-arg: [audit-log-path=/l]\n")
        self.channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.channel.bind(str(directory / "notify"))
        self.channel.settimeout(20)
        with self.said.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-c", WITH_OTHER_PROGRAM, str(program), str(config)],
                cwd=ROOT,
                env={**os.environ, "NOTIFY_SOCKET": str(directory / "notify")},
                stderr=output,
            )

    def close(self) -> None:
        """End it, however the test ended."""
        self.channel.close()
        self.process.kill()
        self.process.wait()


@pytest.fixture
def service(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Service]:
    """One, with the script that the test names."""
    running = Service(tmp_path, f"echo $$ >{tmp_path}/pid; {request.param}")
    yield running
    running.close()


@pytest.mark.parametrize("service", ["sleep 1; exit 3"], indirect=True)
def test_it_is_ready_once_and_ends_with_its_server(service: Service) -> None:
    """systemd is told when the server is ready; its end is a failure, so that Restart=always goes round."""
    assert b"READY=1" == service.channel.recv(100)
    assert 1 == service.process.wait(20)
    text = service.said.read_text()
    assert "not k3s: it only starts an API server" in text
    assert 'msg="Running kube-apiserver --advertise-address=127.0.0.1 ' in text
    assert "--audit-log-path=/l --authorization-mode=" in text
    assert "apiserver exited: 3" in text


@pytest.mark.parametrize("service", ["exec sleep 60"], indirect=True)
def test_it_stops_when_asked(service: Service) -> None:
    """An ordinary stop is no failure."""
    service.channel.recv(100)
    service.process.send_signal(signal.SIGTERM)

    assert 0 == service.process.wait(20)


@pytest.mark.parametrize("service", ["exec sleep 60"], indirect=True)
def test_server_ends_with_it(service: Service, tmp_path: Path) -> None:
    """k3s is one process: killed, it leaves no API server behind."""
    service.channel.recv(100)
    wait_for(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().endswith("\n"))
    server = Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}/exe")
    assert server.exists()
    service.process.kill()
    service.process.wait()

    wait_for(lambda: not server.exists())


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait for another process; fail after a while."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
