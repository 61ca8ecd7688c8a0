"""Masters as sites have them: IPv6 alone, behind a bastion, reached as a user who becomes root by sudo or su."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.deploying import SECRETS_ONLY, STATE, enable, exists, play, succeed, timers, touched_files
from tests.lab.lab import MANIFEST, Lab
from tests.lab.masters import IPV6, Profile

pytestmark = pytest.mark.lab
# Who may log in, and what becoming root asks for; m1 is the bastion of m2.
USER, PASSWORD, ROOTS = "deployer", "correct horse", "battery staple"
MAKE_USER = f"""
useradd --create-home --shell /bin/bash {USER}
echo '{USER}:{PASSWORD}' | chpasswd
echo 'root:{ROOTS}' | chpasswd
echo '{USER} ALL=(ALL) ALL' >/etc/sudoers.d/{USER}
"""


@pytest.fixture(scope="module")
def site(lab_machine: None) -> Iterator[Lab]:
    """Two masters with nothing but IPv6, and a user with a password."""
    with Lab(hosts=2, profile=Profile(network=IPV6)) as lab:
        for host in lab.hosts:
            lab.ssh(host, ["sh", "-ec", MAKE_USER])
        yield lab


@pytest.fixture
def inventory(site: Lab, tmp_path: Path) -> str:
    """m1 with sudo, m2 behind m1 with su."""
    config = site.access.ssh_config
    (tmp_path / "ssh_config").write_text(config.read_text().replace("User root", f"User {USER}"))
    reach = f"-F {shlex.quote(str(tmp_path / 'ssh_config'))}"
    # Nothing but the bastion reaches it.
    behind = shlex.quote(f"ProxyCommand=ssh {reach} m1 -W [{site.hosts['m2']}]:22")
    become = {"ansible_become": True, "ansible_user": USER}
    hosts = {
        "m1": {**become, "ansible_become_method": "sudo", "ansible_become_password": PASSWORD},
        "m2": {**become, "ansible_become_method": "su", "ansible_become_password": ROOTS},
    }
    hosts["m1"]["ansible_ssh_common_args"] = reach
    hosts["m2"]["ansible_ssh_common_args"] = f"{reach} -o HostKeyAlias=m2 -o {behind}"
    path = tmp_path / "hosts.json"
    path.write_text(json.dumps({"masters": {"hosts": hosts}}))
    return str(path)


def test_auditing_comes_and_goes(site: Lab, inventory: str, tmp_path: Path) -> None:
    """Enabled and disabled over nothing but IPv6, a bastion, sudo and su."""
    policy = tmp_path / "policy.yaml"
    policy.write_text(SECRETS_ONLY)
    before = {host: site.read(host, MANIFEST) for host in site.hosts}

    # m2 is asked for its health by its address, which needs brackets.
    hosts = json.loads(Path(inventory).read_text())
    hosts["masters"]["hosts"]["m2"]["ansible_host"] = site.hosts["m2"]
    Path(inventory).write_text(json.dumps(hosts))
    first = succeed(enable(site, policy, "-i", inventory, "--limit", "m1"))
    run = succeed(enable(site, policy, "-i", inventory))
    assert (["m1"], ["m2"], 1) == (first.restarts, run.restarts, run.most_down)
    succeed(play(site, "kaudit.k8s.disable", "-i", inventory))

    assert before == {host: site.read(host, MANIFEST) for host in site.hosts}
    assert [False, False] == [exists(site, host, STATE) for host in site.hosts]
    assert ["", ""] == [timers(site, host) for host in site.hosts]


def test_a_wrong_password_touches_nothing(site: Lab, inventory: str, tmp_path: Path) -> None:
    """Both masters stay as they are when one of them can't be read."""
    policy = tmp_path / "policy.yaml"
    policy.write_text(SECRETS_ONLY)
    before = [touched_files(site, host) for host in site.hosts]
    hosts = json.loads(Path(inventory).read_text())
    hosts["masters"]["hosts"]["m2"]["ansible_become_password"] = "wrong"
    Path(inventory).write_text(json.dumps(hosts))

    run = enable(site, policy, "-i", inventory)

    assert (True, []) == (run.code != 0, run.restarts)
    assert before == [touched_files(site, host) for host in site.hosts]
    assert "m2 could not be read or must not be changed, so no master of this cluster is changed" in run.text
