"""A master as the controller read it: its files, as text, with the sums that say whether they changed since."""

from __future__ import annotations

import binascii
import hashlib
import json
from base64 import b64decode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from kaudit_core.provisioning import manifest
from kaudit_core.provisioning.refusal import EditRefused

MANIFEST_NAME: Final = "kube-apiserver.yaml"
RECORD: Final = "deployments.json"
PENDING: Final = "pending.json"
RESTORED: Final = "restored"
ORIGINALS: Final = "originals.json"
"""Names the files of before the first deployment."""
KUBEADM_ORIGINAL: Final = "kubeadm-config.original.yaml"
LEGACY_ORIGINALS: Final = ("original.yaml", "original-policy.yaml")
"""The manifest, and the policy if there was one, as an older kaudit kept them."""


class HostRefused(Exception):
    """A master is not changed as it is: what was found there, where, and what to do."""


@dataclass(frozen=True)
class HostFile:
    """One file of a host; of a secret one only its sum is known, as `digest`."""

    path: str
    data: bytes
    digest: str = ""

    @property
    def sha256(self) -> str:
        """Of its bytes."""
        return self.digest or hashlib.sha256(self.data).hexdigest()

    @property
    def text(self) -> str:
        """Its text, with the newlines it has."""
        try:
            return self.data.decode()
        except UnicodeDecodeError as error:
            raise HostRefused(f"{self.path}: no UTF-8 at byte {error.start}; repair the file first") from error


class HostFiles:
    """The files that Ansible's slurp read in a loop; a file that isn't there is None."""

    def __init__(self, results: Sequence[Mapping[str, Any]]) -> None:
        self._files: dict[str, HostFile | None] = {}
        for result in results:
            path = str(result["item"])
            try:
                data = b64decode(result["content"], validate=True) if "content" in result else None
            except binascii.Error as error:
                raise HostRefused(f"{path}: came back damaged: {error}; run the play again") from error
            digest = str(result.get("sha256") or "")
            self._files[path] = None if data is None and not digest else HostFile(path, data or b"", digest)

    def get(self, path: str) -> HostFile | None:
        """One of the files asked for; raises KeyError for others."""
        return self._files[path]

    def find(self, path: str) -> HostFile | None:
        """One of the files, None for one that isn't there or wasn't asked for."""
        return self._files.get(path)

    def json(self, path: str, kind: type, keys: Iterable[str] = ()) -> Any:
        """What a file of ours holds, None without it; raises HostRefused for what we never wrote.

        keys: that it has, or every item of a list.
        """
        file = self.get(path)
        if file is None:
            return None
        try:
            value = json.loads(file.data)
        except ValueError as error:
            raise HostRefused(f"{path}: this is no JSON ({error}); move it away and run the play again") from error
        items = value if kind is list and isinstance(value, list) else [value]
        whole = isinstance(value, kind) and all(isinstance(item, dict) and item.keys() >= {*keys} for item in items)
        if not whole:
            raise HostRefused(f"{path}: not what kaudit writes there; move it away and run the play again")
        return value


def check_strays(manifest_file: HostFile, others: Sequence[Mapping[str, Any]]) -> None:
    """Refuse files beside the manifest that hold the same pod: the kubelet runs one of them, the last by name (P1)."""
    ours = manifest.identity(manifest_file.text)
    files = HostFiles(others)
    for result in others:
        file = files.get(str(result["item"]))
        if file is None or file.path == manifest_file.path:
            continue
        try:
            pod = manifest.identity(file.data.decode())
        except UnicodeDecodeError:
            continue
        if pod is not None and pod == ours:
            raise HostRefused(
                f"{file.path}: holds the pod {'/'.join(pod)} as well as {manifest_file.path}, and the kubelet runs only"
                " one of them; move it out of this directory"
            )


def inspected(file: HostFile) -> manifest.ManifestView:
    """What a manifest says; raises HostRefused with the file's name."""
    try:
        return manifest.inspect(file.text)
    except EditRefused as error:
        raise HostRefused(f"{file.path}: {error}") from error
