"""How an API server is started, whatever starts it: the files that say so, and auditing in them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

from kaudit_core.provisioning import manifest
from kaudit_core.provisioning.intent import AuditIntent
from kaudit_core.provisioning.mounts import MountView
from kaudit_core.provisioning.observed import HostFile, HostRefused
from kaudit_core.provisioning.refusal import EditRefused

Edits = dict[str, str | None]
"""The text that each changed file gets, by path; None takes the file away."""
T = TypeVar("T")


@dataclass(frozen=True)
class StartView:
    """What the files say.

    mounts: None where nothing is mounted; annotations: None where there is no place for them.
    complete: whether the server gets no audit flags but these.
    """

    flags: Mapping[str, str]
    audit_flags: Mapping[str, str]
    annotations: Mapping[str, str] | None
    mounts: tuple[MountView, ...] | None
    complete: bool = True


class Start(Protocol):
    """The start of one host's API server. Every method raises HostRefused for files that can't be edited."""

    @property
    def what(self) -> str:
        """What to call the files in a sentence."""

    @property
    def place(self) -> str:
        """The file to name where one is wanted."""

    @property
    def texts(self) -> Mapping[str, str]:
        """The files that are there, by path."""

    def view(self) -> StartView:
        """What they say."""

    def apply(self, intent: AuditIntent, previous: AuditIntent | None) -> Edits:
        """The changes that bring an intent about, as manifest.apply."""

    def remove(self, intent: AuditIntent) -> Edits:
        """The changes that take an intent away."""

    def changed(self, edits: Mapping[str, str | None]) -> Start:
        """The start after such changes."""


@dataclass(frozen=True)
class StaticPod:
    """A manifest that the kubelet acts on as soon as it is written."""

    file: HostFile
    what: str = "the manifest"

    @property
    def place(self) -> str:
        """The manifest's path."""
        return self.file.path

    @property
    def texts(self) -> Mapping[str, str]:
        """The manifest alone."""
        return {self.file.path: self.file.text}

    def view(self) -> StartView:
        """What the manifest says."""
        found = self._edited(lambda: manifest.inspect(self.file.text))
        return StartView(found.flags, found.audit_flags, found.annotations, found.mounts)

    def apply(self, intent: AuditIntent, previous: AuditIntent | None) -> Edits:
        """The manifest with the intent in it."""
        return self._edit(lambda: manifest.apply(self.file.text, intent, previous))

    def remove(self, intent: AuditIntent) -> Edits:
        """The manifest without it."""
        return self._edit(lambda: manifest.remove(self.file.text, intent))

    def changed(self, edits: Mapping[str, str | None]) -> StaticPod:
        """With another text."""
        text = edits.get(self.file.path)
        return self if text is None else StaticPod(HostFile(self.file.path, text.encode()))

    def _edit(self, edit: Callable[[], str]) -> Edits:
        text = self._edited(edit)
        return {self.file.path: text} if text != self.file.text else {}

    def _edited(self, edit: Callable[[], T]) -> T:
        try:
            return edit()
        except EditRefused as error:
            raise HostRefused(f"{self.file.path}: {error}") from error


def sum_of(text: str | None) -> str:
    """The sha256 of a text, "" for a file that isn't there."""
    return "" if text is None else hashlib.sha256(text.encode()).hexdigest()
