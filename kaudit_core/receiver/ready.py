"""Asks a receiver whether it takes batches, as an API server reaches it: by address, with a TLS name and an authority.

    python -m kaudit_core.receiver.ready ADDRESS PORT NAME CA

Prints the SHA-256 of the certificate that it was shown. Exit code 1: not ready, with the reason on stderr.
"""

from __future__ import annotations

import hashlib
import socket
import ssl
import sys
from collections.abc import Sequence


def ask(address: str, port: int, name: str, authority: str, seconds: float = 10.0) -> str:
    """The certificate's digest; raises OSError if the receiver can't be reached, ValueError if it is not ready."""
    context = ssl.create_default_context(cafile=authority)
    with (
        socket.create_connection((address, port), seconds) as plain,
        context.wrap_socket(plain, server_hostname=name) as secured,
    ):
        certificate = secured.getpeercert(binary_form=True) or b""
        secured.sendall(f"GET /readyz HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: secured.recv(4096), b"")).decode(errors="replace")
    head, _, body = answer.partition("\r\n\r\n")
    if head.split(" ")[1:2] != ["200"]:
        raise ValueError(body.strip() or head.splitlines()[0] if head else "no answer")
    return hashlib.sha256(certificate).hexdigest()


def main(arguments: Sequence[str]) -> int:
    """Ask once."""
    address, port, name, authority = arguments
    try:
        sys.stdout.write(ask(address, int(port), name, authority) + "\n")
    except (OSError, ValueError) as error:
        sys.stderr.write(f"{address}:{port} ({name}): not ready: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
