"""Who may send events: a verified client certificate or a bearer token, whichever the receiver was told to ask for."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from pathlib import Path


class Tokens:
    """The bearer tokens of a file, one a line, so that an old and a new one are good together while they change."""

    def __init__(self, path: Path) -> None:
        """Raises OSError, and ValueError for a file without a token."""
        self._path = path
        self._digests: Sequence[bytes] = ()
        self.reload()

    def reload(self) -> None:
        """Read the file again; what was read before stays when that fails."""
        tokens = [line.strip() for line in self._path.read_bytes().splitlines() if line.strip()]
        if not tokens:
            raise ValueError(f"{self._path}: no token in this file; write one a line")
        self._digests = [hashlib.sha256(token).digest() for token in tokens]

    def accept(self, header: bytes | None) -> bool:
        """Whether an Authorization header carries one of them; takes as long for a near miss as for any other."""
        scheme, _, token = (header or b"").partition(b" ")
        given = hashlib.sha256(token.strip()).digest()
        known = [hmac.compare_digest(given, digest) for digest in self._digests]
        return any(known) and scheme.lower() == b"bearer"
