"""What the lab needs of the machine."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path

from tests.lab.cache import locked, say
from tests.oracle.upstream import cache_directory

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

# systemd, kubelet and API server of one host hold 19 inotify instances, and Debian allows a user 128.
INSTANCES = Path("/proc/sys/fs/inotify/max_user_instances")
INSTANCES_NEEDED = 1024


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
    if not missing_packages():
        return
    home = cache_directory() / "lab"
    home.mkdir(parents=True, exist_ok=True)
    with locked(home / "packages.lock", "waiting for another run that installs packages"):
        if missing := missing_packages():
            _install(missing)


def need_inotify() -> None:
    """Let three labs fit side by side; it stays so until the machine is booted again."""
    if int(INSTANCES.read_text()) < INSTANCES_NEEDED:
        say(f"raising fs.inotify.max_user_instances to {INSTANCES_NEEDED}, for several hosts at a time")
        INSTANCES.write_text(f"{INSTANCES_NEEDED}\n")


def _install(packages: list[str]) -> None:
    say(f"installing {' '.join(packages)}")
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "-q", "install", "-y", "--no-install-recommends", *packages]
    for command in (["apt-get", "-q", "update"], install):
        done = subprocess.run(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout}")
