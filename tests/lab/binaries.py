"""kube-apiserver, kubelet, kubectl and kubeadm, built from the one Go module k8s.io/kubernetes."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from tests.lab.cache import cached, files_below, say
from tests.oracle.upstream import go_command

SOURCES = Path(__file__).resolve().parent / "k8s"
NAMES = ("kube-apiserver", "kubelet", "kubectl", "kubeadm", "pause")
BUILD_SECONDS = 1800


def kubernetes_version() -> str:
    """The version that go.mod names, as v1.35.4."""
    found = re.search(r"^\s*k8s\.io/kubernetes (v\S+)$", (SOURCES / "go.mod").read_text(), re.MULTILINE)
    assert found, "go.mod requires no k8s.io/kubernetes"
    return found[1]


def linker_flags() -> str:
    """What upstream's build writes into its binaries: the version."""
    version = kubernetes_version()
    major, minor, _ = version.removeprefix("v").split(".")
    values = {"gitVersion": version, "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    return " ".join(
        ["-s -w", *(f"-X {package}.{key}={value}" for package in packages for key, value in values.items())]
    )


def binaries() -> Path:
    """The directory of the built binaries; about six minutes on two cores when nothing is cached."""
    flags = linker_flags()

    def make(directory: Path) -> None:
        environment = os.environ | {"GOFLAGS": "", "CGO_ENABLED": "0"}
        for number, name in enumerate(NAMES, 1):
            say(f"building {name} {kubernetes_version()} ({number} of {len(NAMES)}; six minutes in all on two cores)")
            command = [go_command(), "build", "-trimpath", "-ldflags", flags, "-o", str(directory / name), f"./{name}"]
            subprocess.run(
                ["nice", "-n", "10", *command], cwd=SOURCES, check=True, timeout=BUILD_SECONDS, env=environment
            )

    return cached("kubernetes", [flags, *files_below(SOURCES)], make)
