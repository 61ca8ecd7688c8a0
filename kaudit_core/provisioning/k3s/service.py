"""A k3s or RKE2 service as systemd shows it: which unit it is, where its files are, and who runs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from kaudit_core.provisioning.k3s.distribution import DISTRIBUTIONS, Distribution
from kaudit_core.provisioning.refusal import EditRefused

PROPERTIES: Final = ("FragmentPath", "DropInPaths", "MainPID", "NRestarts", "ActiveState", "Result")
"""What is asked of `systemctl show`."""


@dataclass(frozen=True)
class Service:
    """What systemd says. unit_files: the unit and its drop-ins, in order; pid: 0 for none; restarts: by itself."""

    unit_files: tuple[str, ...]
    pid: int
    restarts: int
    state: str
    result: str


def parse_service(text: str) -> Service:
    """Read `systemctl show -p ...` of PROPERTIES; raises ValueError where one is missing."""
    found = dict(line.partition("=")[::2] for line in text.splitlines())
    if missing := [name for name in PROPERTIES if name not in found]:
        raise ValueError(f"systemctl show printed no {missing[0]}")
    paths = [found["FragmentPath"], *found["DropInPaths"].split()]
    return Service(
        unit_files=tuple(path for path in paths if path),
        pid=int(found["MainPID"]),
        restarts=int(found["NRestarts"]),
        state=found["ActiveState"],
        result=found["Result"],
    )


def choose_unit(wanted: str, units: Sequence[str], scripts: Sequence[str] = ()) -> tuple[Distribution, str]:
    """The distribution and the unit of its server on a host; raises EditRefused.

    wanted: k3s, rke2, or "" for either; units: names of service units that are there; scripts: names in /etc/init.d.
    """
    allowed = {name: each for name, each in DISTRIBUTIONS.items() if wanted in ("", name)}
    found = [(each, unit) for each in allowed.values() for unit in units if _is_server(each, unit)]
    if len(found) == 1:
        return found[0]
    named = " or ".join(allowed)
    if len(found) > 1:
        problem = f"several servers are set up here: {', '.join(unit for _, unit in found)}"
        raise EditRefused("systemd", 0, "", problem, "name one in apiserver_audit_unit")
    if script := next((name for name in scripts if name.partition("-")[0] in allowed), ""):
        problem = "this is an OpenRC service, and only systemd is supported"
        raise EditRefused(f"/etc/init.d/{script}", 0, "", problem, "edit its command_args by hand")
    problem = f"no service of a {named} server is set up here"
    raise EditRefused("systemd", 0, "", problem, "is this a server, and not an agent? Name it in apiserver_audit_unit")


def _is_server(distribution: Distribution, unit: str) -> bool:
    """Whether a unit's name is that of a server: rke2-server, k3s, or k3s-NAME by the installer."""
    stem = distribution.unit.removesuffix(".service")
    return unit == distribution.unit or bool(
        re.fullmatch(rf"{re.escape(stem)}-[A-Za-z0-9_.@-]+\.service", unit)
        and not re.match(rf"{re.escape(stem)}-(agent|killall|uninstall)\b", unit)
    )
