"""A lab: masters that are booted, reached, watched and taken down together."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

from tests.lab.access import Access, write_access
from tests.lab.masters import CONFIGURATION, Profile, addresses, master_layers
from tests.lab.namespaces import DIE_WITH_ME, ProcessTree
from tests.lab.packages import need_inotify, need_packages
from tests.lab.poller import Poller
from tests.lab.rootfs import debian, keys, master_layer

Finished = subprocess.CompletedProcess[str]
BOOT_SECONDS = 240
MANIFEST = "/etc/kubernetes/manifests/kube-apiserver.yaml"
UPLOAD = ("kubeadm", "init", "phase", "upload-config", "kubeadm", "--config", f"/{CONFIGURATION}")


class CommandFailed(Exception):
    """A command on a host, or a playbook, ended with an error; the text has its output."""


def prepare(hosts: int, profile: Profile) -> tuple[str, Path]:
    """Make and cache what such a lab boots from: the overlay's lower directories, and the masters' own."""
    need_packages()
    need_inotify()
    base = f"{master_layer()}:{debian()}"
    return base, master_layers(addresses(hosts, profile.network), profile, base)


def finish(command: Sequence[str], done: Finished, check: bool) -> Finished:
    """Return what a command did; with `check`, an error is raised with everything that it printed."""
    if check and done.returncode:
        raise CommandFailed(f"{shlex.join(command)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done


class Lab:
    """N masters of one cluster, from `with` to its end; the processes end with this one, however it ends."""

    def __init__(self, hosts: int = 3, profile: Profile | None = None, directory: Path | None = None) -> None:
        self.profile = profile or Profile()
        self.hosts = addresses(hosts, self.profile.network)
        self._own_directory = directory is None
        # A short path: ssh's control sockets lie below it.
        self.directory = directory or Path(tempfile.mkdtemp(prefix="lab-"))
        self._tree: ProcessTree | None = None
        self._access: Access | None = None
        self._polls = 0

    def __enter__(self) -> Lab:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Boot, and wait until every API server is ready and the cluster knows kubeadm's configuration."""
        base, masters = prepare(len(self.hosts), self.profile)
        litter = self.directory if self._own_directory else None
        gateway = f"{self.profile.network.gateway}/{self.profile.network.prefix}"
        self._tree = ProcessTree(base, masters, gateway, self.hosts, self.directory / "boot.log", litter)
        self._access = write_access(self.directory, self.hosts, keys(), self._tree.init, self._tree.enter())
        self.wait_until_ready(BOOT_SECONDS)
        self.ssh("m1", UPLOAD)

    def stop(self) -> None:
        """Take everything down; a lab's own temporary directory goes too."""
        if self._tree:
            self._tree.stop()
            self._tree = None
        if self._own_directory:
            shutil.rmtree(self.directory, ignore_errors=True)

    @property
    def tree(self) -> ProcessTree:
        """The lab's processes."""
        if self._tree is None:
            raise RuntimeError("the lab is not up")
        return self._tree

    @property
    def access(self) -> Access:
        """Inventory, ssh configuration and key."""
        if self._access is None:
            raise RuntimeError("the lab is not up")
        return self._access

    def ssh(self, host: str, argv: Sequence[str], input: str | None = None, check: bool = True) -> Finished:
        """Run a command on a host."""
        command = ["ssh", "-F", str(self.access.ssh_config), host, "--", shlex.join(argv)]
        return self._run(command, input, check)

    def kubectl(self, host: str, argv: Sequence[str], input: str | None = None, check: bool = True) -> Finished:
        """Run kubectl as the administrator against a host's own API server."""
        return self.ssh(host, ["kubectl", "--kubeconfig=/etc/kubernetes/admin.conf", *argv], input, check)

    def ansible_command(self, playbook: Path | str, *args: str) -> list[str]:
        """The command that runs a playbook on the lab's inventory, for tests that start it themselves."""
        beside = Path(sys.executable).parent / "ansible-playbook"
        program = str(beside) if beside.exists() else "ansible-playbook"
        return [program, "-i", str(self.access.inventory), str(playbook), *args]

    def ansible(
        self, playbook: Path | str, *args: str, check: bool = True, env: Mapping[str, str] | None = None
    ) -> Finished:
        """Run ansible-playbook on the lab's inventory, as a user would; `env` is added to the environment."""
        return self._run(self.ansible_command(playbook, *args), None, check, env)

    def cut(self, host: str) -> None:
        """Pull the host's network cable: connections hang, nothing is refused."""
        self.inside(["ip", "link", "set", f"p-{host}", "down"])

    def mend(self, host: str) -> None:
        """Plug it in again."""
        self.inside(["ip", "link", "set", f"p-{host}", "up"])

    def inside(self, argv: Sequence[str], check: bool = True) -> Finished:
        """Run a command on this machine in the lab's network, where the hosts have their addresses."""
        return self._run([*self.tree.enter(), *argv], None, check)

    def read(self, host: str, path: str) -> str:
        """A file's text."""
        return self.ssh(host, ["cat", path]).stdout

    def write(self, host: str, path: str, text: str) -> None:
        """Replace a file at once: written elsewhere on the same file system, then renamed."""
        script = 'mkdir -p "$(dirname "$1")" /opt/new && cat >/opt/new/file && mv /opt/new/file "$1"'
        self.ssh(host, ["sh", "-ec", script, "sh", path], input=text)

    def poller(self, interval: float = 0.1) -> Poller:
        """Start to watch, from outside, which API servers answer; close it or use it in a `with`."""
        self._polls += 1
        file = self.directory / f"readyz.{self._polls}"
        return Poller(self.hosts, self.tree.enter(), self.tree.init, file, interval)

    def wait_until_ready(self, limit: float = 60) -> None:
        """Wait until every API server is ready."""
        with self.poller() as poller:
            try:
                poller.wait_for(set(self.hosts), limit)
            except TimeoutError as error:
                log = (self.directory / "boot.log").read_text(errors="replace")
                raise TimeoutError(f"{error}\n{log[-4000:]}") from None

    def reset(self) -> dict[str, str]:
        """Take all hosts back to how they booted, side by side; say per host whether its server was kept or restarted.

        Objects in the API stay, but for kubeadm's ConfigMap: tests name theirs as nobody else would.
        """
        with ThreadPoolExecutor() as pool:
            verdicts = list(pool.map(lambda host: self.ssh(host, ["lab-reset"]).stdout.strip(), self.hosts))
        self.wait_until_ready()
        self.ssh("m1", UPLOAD)
        return dict(zip(self.hosts, verdicts, strict=True))

    def _run(
        self, command: Sequence[str], input: str | None, check: bool, env: Mapping[str, str] | None = None
    ) -> Finished:
        """Run a command that ends with this process."""
        done = subprocess.run(
            [*DIE_WITH_ME, *command],
            input=input if input is not None else "",
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, **(env or {})},
        )
        return finish(command, done, check)
