"""The flags that variables become, put to the real kube-apiserver: it checks all of them before it looks for etcd."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from kaudit_core.provisioning.settings import Settings
from tests.lab.binaries import binaries
from tests.provisioning.test_settings import VARIABLES

pytestmark = pytest.mark.lab
POLICY = "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata}]\n"
BATCH = {"log_mode": "batch"}
ALL = {
    **BATCH,
    "log_format": "json",
    "log_version": "audit.k8s.io/v1",
    "log_compress": True,
    "log_batch_buffer_size": 500,
    "log_batch_max_size": 50,
    "log_batch_max_wait": "1s500ms",
    "log_batch_throttle_enable": True,
    "log_batch_throttle_qps": 0.5,
    "log_batch_throttle_burst": 3,
    "log_truncate_enabled": True,
    "log_truncate_max_batch_size": 200_000,
    "log_truncate_max_event_size": 200_000,
}


def complaint(folder: Path, flags: dict[str, str | None]) -> str:
    """What the server says of its flags; it always misses some that have nothing to do with auditing."""
    (folder / "policy.yaml").write_text(POLICY)
    own = {"audit-policy-file": str(folder / "policy.yaml"), "audit-log-path": str(folder / "audit.log")}
    command = [str(binaries() / "kube-apiserver"), "--etcd-servers=http://127.0.0.1:1", f"--cert-dir={folder}"]
    command += [f"--{name}={value}" for name, value in {**flags, **own}.items()]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    said = done.stderr.splitlines()[-1]
    assert done.returncode == 1
    return said


@pytest.mark.parametrize(
    "variables",
    [
        {},
        ALL,
        {"log_mode": "blocking-strict"},
        {**BATCH, "log_batch_max_size": 10_000, "log_batch_max_wait": "1s"},
        {"log_truncate_enabled": True, "log_truncate_max_batch_size": 102_400},
        {"log_max_age": 0, "log_max_backup": 0},
    ],
    ids=["none", "all", "strict", "large-batches", "truncation", "no-limits"],
)
def test_what_is_accepted_is_accepted_by_the_server(variables: dict[str, Any], tmp_path: Path) -> None:
    """The server complains about what it misses, and not about auditing."""
    said = complaint(tmp_path, dict(Settings.from_variables({**VARIABLES, **variables}).intent("0", "1").flags))

    assert "service-account-issuer is a required flag" in said
    assert "audit" not in said


@pytest.mark.parametrize(
    ("flags", "cause"),
    [
        ({"audit-log-mode": "sometimes"}, "invalid audit log mode sometimes"),
        ({"audit-log-format": "yaml"}, "invalid audit log format yaml"),
        ({"audit-log-version": "audit.k8s.io/v1beta1"}, "allowed versions are"),
        ({"audit-log-mode": "batch", "audit-log-batch-max-size": "0"}, "max batch size 0, must be a positive number"),
        ({"audit-log-mode": "batch", "audit-log-batch-buffer-size": "0"}, "buffer size 0, must be a positive number"),
        ({"audit-log-mode": "batch", "audit-log-batch-throttle-enable": "true"}, "throttle"),
        ({"audit-log-truncate-max-event-size": "20000000"}, "must be greater than max event size (20000000)"),
    ],
    ids=["mode", "format", "version", "batch", "buffer", "throttle", "truncation"],
)
def test_what_the_server_refuses(flags: dict[str, str | None], cause: str, tmp_path: Path) -> None:
    """Each is refused on the controller already (tests/provisioning/test_settings.py)."""
    assert cause in complaint(tmp_path, flags)
