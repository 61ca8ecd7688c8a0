"""What a controller asks of a host to find its k3s or RKE2 server, and what it makes of the answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from posixpath import basename
from typing import Any, Final

from kaudit_core.provisioning.k3s import hosts
from kaudit_core.provisioning.k3s.distribution import DISTRIBUTIONS, Distribution
from kaudit_core.provisioning.k3s.server import ServerFiles, config_of, read_server
from kaudit_core.provisioning.k3s.service import PROPERTIES, choose_unit, parse_service
from kaudit_core.provisioning.k3s.unit import UnitFile, environment_files

LIST_UNITS: Final = (
    *("systemctl", "list-unit-files", "--type=service", "--no-legend", "--no-pager", "--plain"),
    *(f"{name}*.service" for name in DISTRIBUTIONS),
)
LIST_SCRIPTS: Final = ("ls", "/etc/init.d")


def show(unit: str) -> list[str]:
    """The command that asks systemd about a unit."""
    return ["systemctl", "show", unit, *(f"-p{name}" for name in PROPERTIES)]


@dataclass
class Search:
    """The search on one host: a file is asked for as soon as those before it name it. Raises EditRefused.

    texts: the files read so far, by path; None for one that isn't there.
    """

    distribution: Distribution
    unit: str
    unit_files: tuple[str, ...]
    texts: dict[str, str | None] = field(default_factory=dict)
    listed: list[str] = field(default_factory=list)

    def environment(self) -> list[str]:
        """The files of variables, once the unit files are read."""
        return environment_files(self._units())

    def config(self) -> str:
        """The path of config.yaml, once the files of variables are read."""
        return config_of(self._files([]))

    def found(self, names: Sequence[str]) -> list[str]:
        """The configuration files to read: config.yaml and what the directory beside it has, by path."""
        self.listed = [self.config(), *names]
        return self.listed

    def start(self) -> dict[str, Any]:
        """What was found, in plain values: which files they are, where the policy goes, and what else to read."""
        view = read_server(self._files(self.listed))
        distribution = self.distribution
        policies = [view.flags.get("audit-policy-file", ""), distribution.silent_policy]
        policy, webhook = distribution.exec_start_places if view.in_exec_start else distribution.places
        return {
            "distribution": distribution.name,
            "unit": self.unit,
            "unit_files": list(self.unit_files),
            "environment_files": self.environment(),
            "config_files": self.listed,
            "policy_path": policy,
            "webhook_path": webhook,
            "journal": not distribution.own_process,
            "more": [hosts.PART, *filter(None, policies)],
        }

    def _units(self) -> tuple[UnitFile, ...]:
        return tuple(UnitFile(path, text) for path in self.unit_files if (text := self.texts.get(path)) is not None)

    def _files(self, config: Sequence[str]) -> ServerFiles:
        def there(paths: Sequence[str]) -> dict[str, str]:
            return {path: text for path in paths if (text := self.texts.get(path)) is not None}

        return ServerFiles(self.distribution, self._units(), there(self.environment()), there(config))


def search(distribution: str, unit: str, listed: str, scripts: str) -> tuple[Distribution, str]:
    """The server to look for; distribution and unit: "" for any; the rest: what LIST_UNITS and LIST_SCRIPTS printed."""
    names = [line.split()[0] for line in listed.splitlines() if line.strip()]
    units = [name for name in names if unit in ("", name, name.removesuffix(".service"))]
    return choose_unit(distribution, units, scripts.split())


def begin(distribution: Distribution, unit: str, shown: str) -> Search:
    """Go on with what `show` printed."""
    return Search(distribution, unit, parse_service(shown).unit_files)


def configuration_names(paths: str) -> list[str]:
    """The files that count, of those that `find` printed."""
    return [path for path in paths.splitlines() if basename(path).lower().endswith((".yaml", ".yml"))]
