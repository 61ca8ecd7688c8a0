"""What systemd starts a service with: a unit file and its drop-ins, in the order in which systemd reads them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from kaudit_core.provisioning.k3s.words import Word, line_of, split_words
from kaudit_core.provisioning.refusal import EditRefused

EXEC_START: Final = "ExecStart"
_KEY: Final = re.compile(r"[ \t]*([A-Za-z][A-Za-z0-9-]*)[ \t]*=[ \t]*")
_SECTION: Final = re.compile(r"[ \t]*\[([^\]\r\n]*)\]")
_PREFIX: Final = re.compile(r"[-:+!|@]*")


@dataclass(frozen=True)
class UnitFile:
    """A unit file, or a drop-in of one."""

    path: str
    text: str


@dataclass(frozen=True)
class Setting:
    """Name=value in a section; text[start:end] is the value with its continuation lines."""

    file: UnitFile
    section: str
    name: str
    start: int
    end: int

    @property
    def line(self) -> int:
        """The number of its first line."""
        return line_of(self.file.text, self.start)

    def words(self, start: int | None = None) -> list[Word]:
        """Its words."""
        begin = self.start if start is None else start
        return split_words(self.file.text, begin, self.end, self.file.path, self.name)


@dataclass(frozen=True)
class Command:
    """The ExecStart in force. program: its path; words: the arguments behind it; literal: no variables are put in."""

    setting: Setting
    program: Word
    words: tuple[Word, ...]
    literal: bool

    @property
    def file(self) -> UnitFile:
        """Where it stands."""
        return self.setting.file


def settings_of(file: UnitFile) -> Iterator[Setting]:
    """Every setting of one file."""
    section, at = "", 0
    text = file.text
    while at < len(text):
        stop = _line_end(text, at)
        head = text[at:stop].lstrip(" \t")[:1]
        if head in ("#", ";"):
            at = stop + 1
            continue
        stop = _logical_end(text, at)
        if found := _SECTION.match(text, at, stop):
            section = found[1]
        elif found := _KEY.match(text, at, stop):
            yield Setting(file, section, found[1], found.end(), stop - text[:stop].endswith("\r"))
        at = stop + 1


def _line_end(text: str, at: int) -> int:
    end = text.find("\n", at)
    return len(text) if end < 0 else end


def _logical_end(text: str, at: int) -> int:
    """The end of a line and of those it goes on in."""
    stop = _line_end(text, at)
    while _goes_on(text[at:stop]) and stop < len(text):
        at, stop = stop + 1, _line_end(text, stop + 1)
        while text[at:stop].lstrip(" \t")[:1] in ("#", ";") and stop < len(text):
            at, stop = stop + 1, _line_end(text, stop + 1)
    return stop


def _goes_on(line: str) -> bool:
    line = line.removesuffix("\r")
    return (len(line) - len(line.rstrip("\\"))) % 2 == 1


def effective(files: Sequence[UnitFile], name: str) -> list[Setting]:
    """The settings of this name in [Service] that count: an empty one takes back those before it."""
    made: list[Setting] = []
    for file in files:
        for setting in settings_of(file):
            if setting.section == "Service" and setting.name == name:
                made = [*made, setting] if file.text[setting.start : setting.end].strip() else []
    return made


def command_of(files: Sequence[UnitFile]) -> Command:
    """The one command that the unit starts; raises EditRefused where that isn't sure."""
    for file in files[:1]:
        if re.match(r"#!.*openrc-run", file.text):
            problem = "this is an OpenRC service, and only systemd is supported"
            raise EditRefused(file.path, 1, "command_args", problem, "edit its command_args by hand")
    found = effective(files, EXEC_START)
    if not found:
        path = files[-1].path if files else "the unit"
        raise EditRefused(path, 0, EXEC_START, "the unit starts nothing", "name the unit that starts the server")
    setting = found[-1]
    place = (setting.file.path, setting.line, EXEC_START)
    if len(found) > 1:
        raise EditRefused(*place, "the unit starts several commands", "write ExecStart= before the last one")
    prefix = _PREFIX.match(setting.file.text, setting.start, setting.end)
    signs = prefix.group() if prefix else ""
    words = setting.words(setting.start + len(signs))
    problem = "" if words else "no program is named"
    problem = "a program under another name (@)" if "@" in signs else problem
    problem = "several commands in one line (;)" if any(word.value == ";" for word in words) else problem
    if problem:
        raise EditRefused(*place, problem, "start the server plainly")
    return Command(setting, words[0], tuple(words[1:]), ":" in signs)


def environment_of(files: Sequence[UnitFile], contents: Mapping[str, str]) -> dict[str, str]:
    """The variables that the unit sets itself or reads from files; `contents`: those files that are there."""
    made: dict[str, str] = {}
    for setting in effective(files, "Environment"):
        for name, equals, value in (word.value.partition("=") for word in setting.words()):
            made.update({name: value} if equals else {})
    for path in environment_files(files):
        made.update(variables_in(contents.get(path, "")))
    return made


def environment_files(files: Sequence[UnitFile]) -> list[str]:
    """The files that the unit reads variables from, in order, with its name in the place of specifiers."""
    name = files[0].path.rpartition("/")[2] if files else ""
    stem = name.rpartition(".")[0]
    made = []
    for setting in effective(files, "EnvironmentFile"):
        path = setting.file.text[setting.start : setting.end].strip().removeprefix("-")
        for sign, value in (("%N", stem), ("%n", name), ("%p", stem.partition("@")[0])):
            path = path.replace(sign, value)
        made.append(path)
    return made


def variables_in(text: str) -> dict[str, str]:
    """What an EnvironmentFile sets."""
    made = {}
    for line in re.sub(r"\\\r?\n", "", text).splitlines():
        name, equals, value = line.strip().partition("=")
        if equals and re.fullmatch(r"[A-Za-z_]\w*", name.strip()):
            made[name.strip()] = re.sub(r"^([\"'])(.*)\1$", r"\2", value.strip())
    return made
