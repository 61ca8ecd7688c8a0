"""The hosts' file system: Debian, and over it what makes a Debian host a Kubernetes master."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tests.lab.binaries import binaries, kubernetes_version
from tests.lab.cache import cached
from tests.lab.images import write_image

FILES = Path(__file__).resolve().parent / "files"
PACKAGES = [
    *("systemd", "systemd-sysv", "dbus", "openssh-server", "python3", "iproute2", "sudo", "ca-certificates", "procps"),
    *("containerd", "runc", "etcd-server"),
]
LEFT_OUT = ("doc", "man", "locale", "info")
# Units that need hardware, a terminal or the outside world, or that start what the lab starts itself.
MASKED = [
    *("systemd-logind.service", "getty.target", "console-getty.service", "getty@.service"),
    *(
        "systemd-timesyncd.service",
        "systemd-networkd.service",
        "systemd-resolved.service",
        "systemd-modules-load.service",
    ),
    *("systemd-sysctl.service", "systemd-remount-fs.service", "systemd-firstboot.service"),
    *("systemd-update-utmp.service", "systemd-update-utmp-runlevel.service"),
    *("sys-kernel-debug.mount", "sys-kernel-tracing.mount", "sys-kernel-config.mount", "sys-fs-fuse-connections.mount"),
    *("dev-hugepages.mount", "dev-mqueue.mount", "e2scrub_reap.service", "etcd.service"),
    *("apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer", "fstrim.timer"),
]
PAUSE = "registry.k8s.io/pause:3.10.1"


def debian() -> Path:
    """A Debian root file system of the machine's own release and sources; about a minute when it is not cached."""
    release = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)[
        "VERSION_CODENAME"
    ].strip('"')
    sources = Path("/etc/apt/sources.list.d/debian.sources")
    if not sources.exists():
        sources = Path("/etc/apt/sources.list")
    options = ["--mode=root", "--variant=minbase", "--quiet", "--dpkgopt=force-unsafe-io"]
    options += ['--aptopt=Apt::Install-Recommends "false"']
    options += [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in LEFT_OUT]
    options += [f"--include={','.join(PACKAGES)}", release]

    def make(directory: Path) -> None:
        command = ["nice", "-n", "10", "mmdebstrap", *options, str(directory), str(sources)]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"mmdebstrap failed:\n{done.stdout}")

    return cached("debian", options, make)


def keys() -> Path:
    """The SSH key of the lab's user (`id`) and of all its hosts (`host`)."""

    def make(directory: Path) -> None:
        for name in ("id", "host"):
            command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", str(directory / name)]
            subprocess.run(command, check=True)

    return cached("keys", ["ed25519"], make)


def master_layer() -> Path:
    """What all masters share above Debian: units and settings, keys, Kubernetes' binaries and images."""
    built, ssh_keys = binaries(), keys()

    def make(directory: Path) -> None:
        shutil.copytree(FILES, directory, dirs_exist_ok=True)
        for script in (directory / "usr/local/sbin").iterdir():
            script.chmod(0o755)
        _enable_units(directory / "etc/systemd/system")
        shutil.copy(ssh_keys / "host", directory / "etc/ssh/lab_host_key")
        shutil.copy(ssh_keys / "id.pub", directory / "etc/ssh/lab_authorized_keys")
        (directory / "usr/bin").mkdir()
        for name in ("kubelet", "kubectl", "kubeadm"):
            os.link(built / name, directory / "usr/bin" / name)
        images = directory / "opt/images"
        images.mkdir(parents=True)
        server = f"registry.k8s.io/kube-apiserver:{kubernetes_version()}"
        write_image(images / "kube-apiserver.tar", server, built / "kube-apiserver", "/usr/local/bin/kube-apiserver")
        write_image(images / "pause.tar", PAUSE, built / "pause", "/pause", ["/pause"])
        for name in ("etc/machine-id", "etc/fstab"):
            (directory / name).write_text("")
        (directory / "etc/resolv.conf").write_text("nameserver 127.0.0.1\n")
        for name in ("etc/ca-certificates", "usr/local/share/ca-certificates", "var/lib/containerd"):
            (directory / name).mkdir(parents=True, exist_ok=True)

    code = [Path(__file__), Path(__file__).with_name("images.py")]
    return cached("layer", [built.name, ssh_keys.name, FILES, *code], make)


def _enable_units(units: Path) -> None:
    """Mask what a lab host can't have and start what it is for."""
    for unit in MASKED:
        (units / unit).symlink_to("/dev/null")
    (units / "default.target").symlink_to("/lib/systemd/system/multi-user.target")
    wanted = units / "multi-user.target.wants"
    wanted.mkdir()
    for unit in ("ssh", "containerd"):
        (wanted / f"{unit}.service").symlink_to(f"/lib/systemd/system/{unit}.service")
    for unit in ("lab-images", "kubelet"):
        (wanted / f"{unit}.service").symlink_to(f"/etc/systemd/system/{unit}.service")
    early = units / "sysinit.target.wants"
    early.mkdir()
    (early / "lab-prepare.service").symlink_to("/etc/systemd/system/lab-prepare.service")
