"""What the lab needs of the machine."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path

from tests.lab.cache import say

# Command → the Debian package that brings it.
NEEDED = {
    "mmdebstrap": "mmdebstrap",
    "systemd-nspawn": "systemd-container",
    "ip": "iproute2",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
}


def obstacle() -> str | None:
    """Why no lab can run here, whatever were installed; None if one can."""
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        return "the lab needs Linux on x86_64"
    if os.geteuid() != 0:
        return "the lab needs root: it makes namespaces, mounts and cgroups"
    if not Path("/etc/debian_version").exists():
        return "the lab needs Debian: its hosts are made with mmdebstrap"
    return None


def missing_packages() -> list[str]:
    """The Debian packages whose commands are not there."""
    return sorted({package for command, package in NEEDED.items() if not shutil.which(command)})


def need_packages() -> None:
    """Install what is missing, and say so."""
    reason = obstacle()
    if reason:
        raise RuntimeError(reason)
    missing = missing_packages()
    if not missing:
        return
    say(f"installing {' '.join(missing)}")
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "-q", "install", "-y", "--no-install-recommends", *missing]
    for command in (["apt-get", "-q", "update"], install):
        done = subprocess.run(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout}")
