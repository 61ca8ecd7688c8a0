"""Container images made of one binary each, without a registry or a tool."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath


def write_image(archive: Path, reference: str, binary: Path, target: str, entrypoint: Sequence[str] = ()) -> None:
    """Write a docker-archive image that holds `binary` as `target`; the same input gives the same bytes."""
    layer = _layer(binary, PurePosixPath(target.lstrip("/")))
    layer_digest = hashlib.sha256(layer).hexdigest()
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Entrypoint": list(entrypoint), "Env": ["PATH=/usr/local/bin:/bin"]},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer_digest}"]},
            "history": [{"created_by": "lab"}],
        }
    ).encode()
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    layer_name = f"{layer_digest}/layer.tar"
    manifest = json.dumps([{"Config": config_name, "RepoTags": [reference], "Layers": [layer_name]}]).encode()
    with tarfile.open(archive, "w") as image:
        for name, content in ((config_name, config), (layer_name, layer), ("manifest.json", manifest)):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            image.addfile(entry, io.BytesIO(content))


def _layer(binary: Path, target: PurePosixPath) -> bytes:
    """A file system with the binary and the directories that a container expects."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as layer:
        parents = [str(parent) for parent in reversed(target.parents) if parent.name]
        for name in [*parents, "etc", "tmp"]:
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            layer.addfile(entry)
        entry = tarfile.TarInfo(str(target))
        entry.size, entry.mode = binary.stat().st_size, 0o755
        with binary.open("rb") as source:
            layer.addfile(entry, source)
    return content.getvalue()
