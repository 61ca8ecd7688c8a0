"""One master as it was read: how its API server is started, the files of deployments, and kaudit's own notes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from kaudit_core.provisioning import record
from kaudit_core.provisioning.files import files_of
from kaudit_core.provisioning.k3s.silence import warning
from kaudit_core.provisioning.k3s.starting import read_start
from kaudit_core.provisioning.observed import (
    KUBEADM_ORIGINAL,
    LEGACY_ORIGINALS,
    ORIGINALS,
    PENDING,
    RECORD,
    RESTORED,
    HostFile,
    HostFiles,
    HostRefused,
    check_strays,
)
from kaudit_core.provisioning.starting import Start, StaticPod

PENDING_KEYS: Final = (*record.KEPT, "backup", "before")


@dataclass(frozen=True)
class Host:
    """What was read of one master.

    start: how its API server is started now; files: whatever else of it was read.
    originals: where each file of before the first deployment is kept, by path; "" for one that was not there.
    """

    start: Start
    files: HostFiles
    entries: list[Any]
    pending: dict[str, Any] | None
    restored: bool
    running_since: str = ""
    originals: Mapping[str, str] = field(default_factory=dict)
    state: str = ""
    kubeadm_original: HostFile | None = None
    pids: frozenset[int] = frozenset()
    notes: list[str] = field(default_factory=list)

    def sha256(self, path: str) -> str:
        """The sum of a file now, "" where it isn't there."""
        texts = self.start.texts
        if path in texts:
            return HostFile(path, texts[path].encode()).sha256
        file = self.files.find(path)
        return file.sha256 if file else ""

    def kept(self, path: str) -> HostFile | None:
        """A file as it was before the first deployment, None where it wasn't there or nothing is known."""
        name = self.originals.get(path)
        return self.files.find(f"{self.state}/{name}") if name else None

    def original_texts(self) -> dict[str, str | None]:
        """The files of before the first deployment as far as they are kept; None for one that was not there."""
        found = {path: self.kept(path) for path in self.originals}
        return {path: file.text if file else None for path, file in found.items() if file or not self.originals[path]}

    @property
    def written(self) -> Mapping[str, Any] | None:
        """The deployment that wrote the files at hand and never proved them: the pending one, or one before it."""
        found = [self.pending, self.pending.get("replaces")] if self.pending else []
        return next((each for each in found if each and self._is_there(each)), None)

    def _is_there(self, deployment: Mapping[str, Any]) -> bool:
        return all(self.sha256(each["path"]) == each["sha256"] for each in self._telling(deployment))

    def _telling(self, deployment: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The files that tell whether a deployment was written: those that start the server, or else all of them."""
        made = files_of(deployment, self.start.place)
        return [each for each in made if each["starts"]] or made

    @property
    def unproven(self) -> bool:
        """Whether the server is started as a deployment wrote it and never proved it."""
        return self.written is not None

    @property
    def last_deployment(self) -> str:
        """The deployment that the files name, "" for none; files that can't name one leave that to the record."""
        annotations = self.start.view().annotations
        if annotations is not None:
            return annotations.get(record.DEPLOYMENT_ANNOTATION, "")
        found = self.written or record.in_force(self.entries)
        return str(found["id"]) if found else ""

    @property
    def writer(self) -> record.Entry | None:
        """The deployment that put into the files at hand what is there of kaudit, whoever edited them since."""
        if self.written is None and self.pending and self.pending["id"] == self.last_deployment:
            return self.pending
        return self.written or record.in_force(self.entries)

    @property
    def backed_up(self) -> bool:
        """Whether the pending deployment's backup is what it shall be: perhaps only the policy was replaced since."""
        if self.pending is None or self.restored:
            return False
        after = {each["path"]: each["sha256"] for each in self._telling(self.pending)}
        before = {each["path"]: each["sha256"] for each in self.pending.get("backups", [])}
        return self.unproven or all(self.sha256(path) in (after[path], before.get(path)) for path in after)


def read_host(
    paths: Mapping[str, str],
    results: Sequence[Mapping[str, Any]],
    others: Sequence[Mapping[str, Any]],
    processes: Sequence[Mapping[str, Any]] = (),
    found: Mapping[str, Any] | None = None,
) -> Host:
    """Read the files that came back; `paths` names manifest, policy and state, `found` a service. Raises HostRefused.

    found: what find_start says of the start; None is kubeadm's.
    """
    files = HostFiles(results)
    start: Start = read_start(found, files) if found and is_service(found) else static_pod(files, paths)
    if isinstance(start, StaticPod):
        check_strays(start.file, others)
    state = paths["state"]
    pending = files.json(f"{state}/{PENDING}", dict, PENDING_KEYS)
    restored = files.get(f"{state}/{RESTORED}") is not None
    if pending and "backups" not in pending and not restored:
        raise HostRefused(
            f"{state}/{PENDING}: deployment {pending['id']} of an older kaudit was never finished; wait until its timer"
            " has restored what was before, and run the play again"
        )
    entries = files.json(f"{state}/{RECORD}", list, (*record.KEPT, "outcome")) or []
    return Host(
        start=start,
        notes=_silent(files, found["more"]) if found and is_service(found) and not record.in_force(entries) else [],
        pids=frozenset(int(process["pid"]) for process in processes),
        files=files,
        entries=entries,
        pending=pending,
        restored=restored,
        running_since=max((str(process["started"]) for process in processes), default=""),
        originals=read_originals(files, paths),
        state=state,
        kubeadm_original=files.get(f"{state}/{KUBEADM_ORIGINAL}"),
    )


def is_service(found: Mapping[str, Any] | None) -> bool:
    """Whether a service starts the API server, and no kubelet."""
    return found is not None and found["distribution"] != "kubeadm"


def _silent(files: HostFiles, paths: Sequence[str]) -> list[str]:
    """What is to be said about policies that log nothing (pitfall P28)."""
    found = {path: file.text for path in paths if (file := files.find(path)) and path.endswith((".yaml", ".yml"))}
    return [said for path, text in found.items() if (said := warning(path, text))]


def static_pod(files: HostFiles, paths: Mapping[str, str]) -> StaticPod:
    """kubeadm's manifest; raises HostRefused without one."""
    file = files.get(paths["manifest"])
    if file is None:
        raise HostRefused(
            f"{paths['manifest']}: no such file, so this is no master set up by kubeadm; a manifest elsewhere is named"
            " by apiserver_audit_manifest, a k3s or RKE2 server by apiserver_audit_distribution"
        )
    return StaticPod(file)


def read_originals(files: HostFiles, paths: Mapping[str, str]) -> dict[str, str]:
    """Where the originals are kept; an older kaudit kept two under names of their own."""
    made = files.json(f"{paths['state']}/{ORIGINALS}", dict)
    if made is not None:
        return dict(made["files"]) if isinstance(made.get("files"), dict) else {}
    manifest, policy = LEGACY_ORIGINALS
    if files.find(f"{paths['state']}/{manifest}") is None:
        return {}
    there = files.find(f"{paths['state']}/{policy}") is not None
    return {paths["manifest"]: manifest, paths["policy"]: policy if there else ""}
