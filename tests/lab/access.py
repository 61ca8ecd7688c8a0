"""How the ordinary shell reaches a lab's hosts: files for ssh and for Ansible."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

RELAY = Path(__file__).resolve().parent / "relay.py"
GROUP = "masters"


@dataclass(frozen=True)
class Access:
    """The files of one lab's directory."""

    directory: Path

    @property
    def inventory(self) -> Path:
        """The Ansible inventory: group masters."""
        return self.directory / "inventory.yml"

    @property
    def ssh_config(self) -> Path:
        """For ssh -F: the hosts by their names."""
        return self.directory / "ssh_config"

    @property
    def key(self) -> Path:
        """The private key of the lab's user."""
        return self.directory / "id"

    @property
    def known_hosts(self) -> Path:
        """The host key of all hosts."""
        return self.directory / "known_hosts"


def write_access(directory: Path, hosts: Mapping[str, str], keys: Path, init: int, enter: Sequence[str]) -> Access:
    """Write the files. Connections go through the lab's network namespace, so no port of the machine is used."""
    access = Access(directory.resolve())
    shutil.copy(keys / "id", access.key)
    access.key.chmod(0o600)
    host_key = (keys / "host.pub").read_text()
    access.known_hosts.write_text("".join(f"{host} {host_key}" for host in hosts))
    proxy = shlex.join([*enter, sys.executable, "-I", str(RELAY), str(init)])
    sections = [
        f"""\
Host {host}
    HostName {address}
    HostKeyAlias {host}
    ProxyCommand {proxy} %h %p
"""
        for host, address in hosts.items()
    ]
    common = f"""\
Host *
    User root
    IdentityFile {access.key}
    IdentitiesOnly yes
    UserKnownHostsFile {access.known_hosts}
    LogLevel ERROR
"""
    access.ssh_config.write_text("".join([*sections, common]))
    _write_inventory(access, hosts)
    return access


def _write_inventory(access: Access, hosts: Mapping[str, str]) -> None:
    """Write the inventory; ssh's own connection sharing gets sockets of this lab only."""
    variables = {
        "ansible_user": "root",
        "ansible_python_interpreter": "/usr/bin/python3",
        "ansible_ssh_common_args": f"-F {shlex.quote(str(access.ssh_config))}",
        "ansible_control_path_dir": str(access.directory / "ssh"),
    }
    inventory = {GROUP: {"hosts": {host: {"ansible_host": host} for host in hosts}, "vars": variables}}
    access.inventory.write_text(yaml.safe_dump(inventory, sort_keys=False))
