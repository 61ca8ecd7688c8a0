"""`kaudit receive`: what it refuses to start with. The running receiver is tested in tests/receiver."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from kaudit_core.cli.main import main

PLAIN = ["--plain-http", "--listen", "127.0.0.1:0"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        pytest.param([], "--certificate and --key are needed, or --plain-http by name", id="plain-http-only-by-name"),
        pytest.param(["--plain-http", "--key", "k"], "exclude each other", id="plain-http-with-a-key"),
        pytest.param([*PLAIN, "--identity", "certificate"], "needs --client-ca", id="a-name-nobody-proves"),
        pytest.param([*PLAIN, "--max-pending", "1MiB"], "smaller than --max-body", id="no-room-for-a-batch"),
        pytest.param([*PLAIN, "--sink", "x"], "give one of these", id="a-sink-without-deletion"),
        pytest.param([*PLAIN, "--token-file", "none"], "none", id="no-token-file"),
        pytest.param(["--certificate", "none", "--key", "none"], "can't be used for TLS", id="no-certificate"),
    ],
)
def test_contradictions_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], words: str
) -> None:
    """Exit code 2 and one line that says what to do."""
    code = main(["receive", "--spool", str(tmp_path / "spool"), *options])
    said = [line for line in capsys.readouterr().err.splitlines() if "warning" not in line]

    assert (2, 1) == (code, len(said))
    assert words in said[0]


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--max-body", "10MB"),
        ("--segment-age", "1w"),
        ("--listen", "8443"),
        ("--max-connections", "0"),
        ("--keep-time", "0s"),
    ],
)
def test_values_that_mean_nothing_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str, value: str
) -> None:
    """With an example of one that does."""
    with pytest.raises(SystemExit, match="2"):
        main(["receive", "--spool", str(tmp_path), *PLAIN, option, value])

    assert f"argument {option}: '{value}' is not " in capsys.readouterr().err


def test_a_port_in_use_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Before anything is touched."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        code = main(["receive", "--spool", str(tmp_path / "spool"), "--plain-http", "--listen", address])

    assert (2, True) == (code, f"{address}: can't listen: Address already in use" in capsys.readouterr().err)


def test_a_spool_that_is_a_file_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In one line, with its path."""
    (tmp_path / "spool").write_text("")
    code = main(["receive", "--spool", str(tmp_path / "spool"), *PLAIN])

    assert (2, True) == (code, f"kaudit: {tmp_path / 'spool'}: can't be used: " in capsys.readouterr().err)
