"""The set of files that a deployment writes on a host: what each becomes, and how it comes back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from kaudit_core.provisioning.intent import AuditIntent

ORIGINAL_FILES: Final = "originals"
"""Below the state directory: the files of before the first deployment."""


@dataclass(frozen=True)
class Content:
    """A file that the API server reads, which the role has the bytes of.

    keep: where a copy stays, below the state directory, for going back; annotation: what carries its sha256, so that
    another content is another start of the server; secret: its bytes are shown nowhere.
    """

    path: str
    sha256: str
    keep: str
    annotation: str = ""
    secret: bool = False


@dataclass(frozen=True)
class FileChange:
    """One file of a deployment; its sha256 before and after, "" where it isn't there.

    text: what is written; source: the file on the host that is copied instead. With neither the role has the bytes.
    starts: whether it says how the server is started; such files are written last, the others are read by the server.
    mode: of the file as it is written, "" for the one that it has (0600 for a new one).
    keep: where a copy stays, below the state directory; secret: as in Content.
    """

    path: str
    before_sha256: str
    sha256: str
    text: str | None = None
    source: str = ""
    starts: bool = False
    mode: str = ""
    keep: str = ""
    secret: bool = False

    def as_recorded(self) -> dict[str, Any]:
        """What the record keeps of it."""
        return {
            "path": self.path,
            "sha256": self.sha256,
            "starts": self.starts,
            "keep": self.keep,
            "secret": self.secret,
        }


@dataclass(frozen=True)
class WayBack:
    """How the host becomes again what it was.

    backup: the directory's name; files: path, name in it ("" for a file that was not there), sha256 and `starts` of
    each; missing: those of them that are to be copied there now.
    """

    backup: str
    files: list[dict[str, Any]] = field(default_factory=list)
    missing: list[dict[str, Any]] = field(default_factory=list)


def way_back(name: str, changes: Sequence[FileChange], pending: Mapping[str, Any] | None) -> WayBack:
    """The way back from a deployment of this name; pending: the unfinished one whose backup is still the right one."""
    kept = list(pending["backups"]) if pending else []
    known = {each["path"] for each in kept}
    missing = [_backup(change) for change in changes if change.path not in known]
    # What starts the server comes last on the way back too.
    files = sorted([*kept, *missing], key=lambda each: bool(each["starts"]))
    return WayBack(str(pending["backup"]) if pending else name, files, missing)


def _backup(change: FileChange) -> dict[str, Any]:
    name = kept_name(change.path) if change.before_sha256 else ""
    return {"path": change.path, "name": name, "sha256": change.before_sha256, "starts": change.starts}


def kept_name(path: str) -> str:
    """A path as one file name."""
    return quote(path, safe="")


def originals_after(known: Mapping[str, str], way: WayBack) -> tuple[dict[str, str], list[dict[str, str]]]:
    """The kept originals by path ("" for one that was not there), and what is to be copied from the backup for them.

    known: those that an earlier deployment kept, which stay.
    """
    new = [each for each in way.files if each["path"] not in known]
    copies = [
        {"name": each["name"], "to": f"{ORIGINAL_FILES}/{kept_name(each['path'])}"} for each in new if each["name"]
    ]
    made = {each["path"]: f"{ORIGINAL_FILES}/{kept_name(each['path'])}" if each["name"] else "" for each in new}
    return {**known, **made}, copies


def files_of(entry: Mapping[str, Any], manifest: str) -> list[dict[str, Any]]:
    """The files of a recorded deployment; of one that named none, its policy and the manifest."""
    if "files" in entry:
        return list(entry["files"])
    plain = {"keep": "", "secret": False}
    policy = AuditIntent.from_json(entry["intent"]).flags.get("audit-policy-file")
    made = [{"path": manifest, "sha256": entry.get("manifest_sha256", ""), "starts": True, **plain}]
    if policy:
        kept = f"policies/{entry['policy_sha256']}.yaml"
        made.insert(0, {**plain, "path": policy, "sha256": entry["policy_sha256"], "starts": False, "keep": kept})
    return made


def paths_of(entries: Iterable[Mapping[str, Any]], manifest: str) -> list[str]:
    """Every path that these deployments wrote."""
    return list(dict.fromkeys(each["path"] for entry in entries for each in files_of(entry, manifest)))
