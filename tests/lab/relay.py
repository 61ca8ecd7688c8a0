"""Connect standard input and output with an address; ssh's ProxyCommand into a lab's network.

    nsenter --net=/proc/INIT/ns/net -- python relay.py INIT ADDRESS PORT

It ends with the process INIT, so no connection outlives its lab. It imports nothing of the project: ssh starts it for
every connection.
"""

from __future__ import annotations

import os
import select
import socket
import sys


def relay(init: int, address: str, port: int) -> None:
    """Copy both ways until either side, or the lab, ends."""
    lab = os.pidfd_open(init)
    connection = socket.create_connection((address, port), timeout=10)
    connection.settimeout(None)
    sources = [0, connection.fileno(), lab]
    while True:
        ready, _, _ = select.select(sources, [], [])
        if lab in ready:
            return
        if 0 in ready:
            data = os.read(0, 65536)
            if data:
                connection.sendall(data)
            else:
                connection.shutdown(socket.SHUT_WR)
                sources.remove(0)
        if connection.fileno() in ready:
            data = connection.recv(65536)
            if not data:
                return
            view = memoryview(data)
            while view:
                view = view[os.write(1, view) :]


if __name__ == "__main__":
    try:
        relay(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
    except (OSError, KeyboardInterrupt) as error:
        sys.exit(f"lab: {sys.argv[2]}: {error}")
