"""How a k3s or RKE2 server is started, and what its API server is therefore given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from kaudit_core.provisioning.flags import audit_flags, normalized
from kaudit_core.provisioning.k3s.config import Argument, Merged, files_read, merged
from kaudit_core.provisioning.k3s.distribution import ARGUMENT_KEY, DROP_IN, Distribution
from kaudit_core.provisioning.k3s.unit import EXEC_START, Command, UnitFile, command_of, environment_of
from kaudit_core.provisioning.k3s.words import Word, expanded, line_of
from kaudit_core.provisioning.refusal import EditRefused

CONFIG_FLAGS: Final = ("config", "c")


@dataclass(frozen=True)
class ServerFiles:
    """The files of a host that decide it, as far as they are there.

    unit_files: the unit and its drop-ins, in systemd's order; environment_files and config_files: path and text.
    """

    distribution: Distribution
    unit_files: tuple[UnitFile, ...]
    environment_files: Mapping[str, str]
    config_files: Mapping[str, str]

    def changed(self, edits: Mapping[str, str | None]) -> ServerFiles:
        """These files after an edit; None takes one away."""
        units = tuple(UnitFile(file.path, edits.get(file.path) or file.text) for file in self.unit_files)
        paths = {path: None for path in (*self.config_files, *edits) if path not in {file.path for file in units}}
        texts = {path: edits.get(path, self.config_files.get(path)) for path in paths}
        kept = {path: text for path, text in texts.items() if text is not None}
        return replace(self, unit_files=units, config_files=kept)


@dataclass(frozen=True)
class Use:
    """A flag of the server in ExecStart; words: those it is made of; variable: systemd puts its value in."""

    name: str
    value: str
    words: tuple[Word, ...]
    variable: bool = False


@dataclass(frozen=True)
class ServerView:
    """What was found.

    config: the path of config.yaml; read: the files that count, in order; uses: the flags in ExecStart.
    arguments: the values of kube-apiserver-arg that the API server gets; policy, mounts: of RKE2's own keys.
    ignored: values that something later replaced.
    """

    command: Command
    config: str
    read: tuple[str, ...]
    uses: tuple[Use, ...]
    arguments: tuple[Argument, ...]
    policy: tuple[Argument, ...]
    mounts: tuple[Argument, ...]
    ignored: tuple[Argument, ...]
    in_exec_start: bool

    @property
    def drop_in(self) -> str:
        """Where a drop-in file of ours is, or would be."""
        return f"{self.config}.d/{DROP_IN}"

    @property
    def flags(self) -> dict[str, str]:
        """The API server's flags as far as they are given here; the last of several counts."""
        own = [("audit-policy-file", argument.value) for argument in self.policy]
        return dict([*own, *(flag_of(argument.value) for argument in self.arguments)])

    @property
    def audit_flags(self) -> dict[str, str]:
        """The flags that are about auditing."""
        return audit_flags(self.flags)


def flag_of(argument: str) -> tuple[str, str]:
    """Name and value of a kube-apiserver-arg; a name may end in + or -, which is about defaults that have a list."""
    name, equals, value = argument.removeprefix("--").partition("=")
    return normalized(name.rstrip("+-")), value if equals else "true"


def config_of(files: ServerFiles) -> str:
    """The path of config.yaml, which its unit and variables decide; raises EditRefused."""
    command = command_of(files.unit_files)
    environment = environment_of(files.unit_files, files.environment_files)
    return _config(files.distribution, command, environment, _uses(files.distribution, command, environment))


def _config(distribution: Distribution, command: Command, environment: Mapping[str, str], uses: list[Use]) -> str:
    config = environment.get(distribution.config_variable) or next(
        (use.value for use in uses if use.name in CONFIG_FLAGS), distribution.config
    )
    if not config.startswith("/"):
        problem, advice = f"the configuration is {config!r}, no path on this host", "name a file by its absolute path"
        raise EditRefused(command.file.path, command.setting.line, EXEC_START, problem, advice)
    return config


def read_server(files: ServerFiles) -> ServerView:
    """Read how the server is started; raises EditRefused with file, line and field."""
    command = command_of(files.unit_files)
    environment = environment_of(files.unit_files, files.environment_files)
    uses = _uses(files.distribution, command, environment)
    config = _config(files.distribution, command, environment, uses)
    read = files_read(config, files.config_files)
    found = {
        key: _overridden(command, uses, key, merged(read, files.config_files, key)) for key in files.distribution.keys
    }
    single = found.get(files.distribution.policy_key, Merged())
    return ServerView(
        command=command,
        config=config,
        read=tuple(read),
        uses=tuple(uses),
        arguments=found[ARGUMENT_KEY].values,
        policy=single.values[-1:],
        mounts=found.get(files.distribution.mount_key, Merged()).values,
        ignored=tuple(argument for each in found.values() for argument in each.replaced),
        in_exec_start=any(use.name in files.distribution.keys for use in uses),
    )


def _overridden(command: Command, uses: list[Use], key: str, in_files: Merged) -> Merged:
    """A key's values where ExecStart gives some too: those are all that count."""
    given = [
        Argument(use.value, command.file.path, line_of(command.file.text, use.words[0].start), EXEC_START)
        for use in uses
        if use.name == key
    ]
    return Merged(tuple(given), (*in_files.replaced, *in_files.values)) if given else in_files


def _uses(distribution: Distribution, command: Command, environment: Mapping[str, str]) -> list[Use]:
    """The flags behind `server`; raises EditRefused where this is no such server."""
    place = (command.file.path, command.setting.line, EXEC_START)
    program = command.program.value.rpartition("/")[2]
    if program not in distribution.programs:
        advice = f"let it start {distribution.programs[0]} itself, or configure auditing there by hand"
        raise EditRefused(*place, f"starts {command.program.value}, not {distribution.programs[0]}", advice)
    variables = {} if command.literal else environment
    given = [(word.value, word, False) for word in command.words]
    given = given if command.literal else expanded(list(command.words), variables)
    values = [value for value, _, _ in given]
    role = next((value for value in values if value in ("server", "agent")), "")
    if role == "agent" or not (role or program.endswith("-server")):
        problem = "this is an agent" if role else "no server is started here"
        raise EditRefused(*place, problem, f"name the unit of the server, for example {distribution.unit}")
    made, index = [], 0
    while index < len(given):
        value, word, variable = given[index]
        index += 1
        if not value.startswith("-") or len(value.strip("-")) == 0:
            continue
        name, equals, text = value.lstrip("-").partition("=")
        words: tuple[Word, ...] = (word,)
        if not equals and name in (*distribution.keys, *CONFIG_FLAGS) and index < len(given):
            text, behind, more = given[index]
            words, variable, index = (word, behind), variable or more, index + 1
        made.append(Use(name, text, words, variable))
    return made
