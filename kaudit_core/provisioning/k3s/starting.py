"""The start of a k3s or RKE2 server as deployments see it: unit, configuration files, and the line in /etc/hosts."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from kaudit_core.provisioning.intent import AuditIntent
from kaudit_core.provisioning.k3s import edit, hosts
from kaudit_core.provisioning.k3s.config import merged
from kaudit_core.provisioning.k3s.distribution import DISTRIBUTIONS
from kaudit_core.provisioning.k3s.server import ServerFiles, ServerView, read_server
from kaudit_core.provisioning.k3s.unit import UnitFile
from kaudit_core.provisioning.observed import HostFiles, HostRefused
from kaudit_core.provisioning.refusal import EditRefused, SettingsError
from kaudit_core.provisioning.settings import Settings
from kaudit_core.provisioning.starting import Edits, StartView

_ANNOTATION: Final = re.compile(r"^# ([^\s:]+/[^\s:]+): (\S*)$", re.MULTILINE)
T = TypeVar("T")


@dataclass(frozen=True)
class Server:
    """A service that is told to start its API server anew.

    hosts: the text of /etc/hosts, None where there is none.
    """

    files: ServerFiles
    hosts: str | None = None

    @property
    def what(self) -> str:
        """What to call its files."""
        return "the configuration"

    @property
    def place(self) -> str:
        """Our drop-in, or the file with ExecStart."""
        view = self.server()
        return view.command.file.path if view.in_exec_start else view.drop_in

    @property
    def texts(self) -> Mapping[str, str]:
        """Every file that decides how the server is started, and /etc/hosts."""
        units = {file.path: file.text for file in self.files.unit_files}
        return {**units, **self.files.config_files, **({} if self.hosts is None else {hosts.PART: self.hosts})}

    def server(self) -> ServerView:
        """What the files say."""
        return _edited(lambda: read_server(self.files))

    def view(self) -> StartView:
        """Flags, and what our drop-in says of its deployment; ExecStart says nothing of that."""
        view = self.server()
        text = self.files.config_files.get(view.drop_in, "")
        annotations = None if view.in_exec_start else dict(_ANNOTATION.findall(text))
        complete = not self.files.distribution.own_process
        return StartView(view.flags, view.audit_flags, annotations, None, complete)

    def apply(self, intent: AuditIntent, previous: AuditIntent | None) -> Edits:
        """The files that change."""
        edits = _edited(lambda: edit.apply(self.files, intent, previous))
        return {**edits, **self._names(intent.host_aliases)}

    def remove(self, intent: AuditIntent) -> Edits:
        """The files without the intent, and /etc/hosts without our lines."""
        return {**_edited(lambda: edit.remove(self.files, intent)), **self._names({})}

    def changed(self, edits: Mapping[str, str | None]) -> Server:
        """With other texts."""
        return Server(self.files.changed(edits), edits.get(hosts.PART, self.hosts))

    def check(self, settings: Settings, version: str) -> None:
        """Refuse a server that is too old for what is written, and settings that would do nothing here."""
        distribution = self.files.distribution
        _edited(lambda: edit.check_version(distribution, version))
        where = f"{distribution.name} starts the API server itself"
        for name, given, why in (
            ("aliyun_logs", settings.aliyun_logs, "whose environment is not set for it"),
            ("webhook_dns_policy", settings.webhook_dns_policy, "which has the host's DNS"),
            ("extra_mounts", settings.mounts and not distribution.mount_key, "which sees the host's directories"),
        ):
            if given:
                raise SettingsError(f"apiserver_audit_{name}: {where}, {why}; take it out for this host")

    def setting(self, *names: str) -> str:
        """The first of some plain settings that is given, in ExecStart or else in the files; "" for none."""
        view = self.server()
        words = [word.value for word in view.command.words]
        for name in names:
            given = merged(view.read, self.files.config_files, name).values
            values = [
                _value(words, index) for index, word in enumerate(words) if word.lstrip("-").split("=")[0] == name
            ]
            values = [*values, *(value.value for value in given)]
            if values and values[0]:
                return values[0].partition(",")[0].strip()
        return ""

    def _names(self, aliases: Mapping[str, tuple[str, ...]]) -> Edits:
        text = self.hosts or ""
        after = _edited(lambda: hosts.put_all(text, aliases))
        return {} if after == text else {hosts.PART: after}


def _value(words: list[str], index: int) -> str:
    """The value of the flag in a word: behind its sign, or in the next word."""
    _, equals, value = words[index].partition("=")
    return value if equals or index + 1 == len(words) else words[index + 1]


def read_start(start: Mapping[str, Any], files: HostFiles) -> Server:
    """The server that was found on a host; `start` as found.found_service gives it. Raises HostRefused."""

    def texts(paths: list[str]) -> dict[str, str]:
        found = {path: files.find(path) for path in paths}
        return {path: file.text for path, file in found.items() if file}

    units = tuple(UnitFile(path, text) for path, text in texts(start["unit_files"]).items())
    known = ServerFiles(
        DISTRIBUTIONS[start["distribution"]], units, texts(start["environment_files"]), texts(start["config_files"])
    )
    return Server(known, texts([hosts.PART]).get(hosts.PART))


def _edited(made: Callable[[], T]) -> T:
    try:
        return made()
    except EditRefused as error:
        raise HostRefused(str(error)) from error
