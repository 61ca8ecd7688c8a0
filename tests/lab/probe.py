"""Ask API servers for /readyz again and again and write one line per answer; runs in the lab's network.

    nsenter --net=/proc/INIT/ns/net -- python probe.py FILE INIT INTERVAL NAME=ADDRESS...

A line: when the request was sent, when its answer came (seconds since the epoch), name, status or what went wrong.
"""

from __future__ import annotations

import http.client
import os
import select
import ssl
import sys
import threading
import time

TIMEOUT = 2.0


def ask(address: str, context: ssl.SSLContext) -> str:
    """The status of one /readyz over a connection of its own."""
    connection = http.client.HTTPSConnection(address, 6443, timeout=TIMEOUT, context=context)
    try:
        connection.request("GET", "/readyz", headers={"User-Agent": "lab-poller"})
        response = connection.getresponse()
        response.read()
        return str(response.status)
    except (OSError, http.client.HTTPException) as error:
        return type(error).__name__
    finally:
        connection.close()


def keep_asking(name: str, address: str, interval: float, output: int) -> None:
    """Ask one API server for ever."""
    context = ssl._create_unverified_context()
    while True:
        sent = time.time()
        status = ask(address, context)
        # One write appends one line, whichever thread is next.
        os.write(output, f"{sent:.3f} {time.time():.3f} {name} {status}\n".encode())
        time.sleep(max(0.0, sent + interval - time.time()))


def main(file: str, init: str, interval: str, *entries: str) -> None:
    """Ask all of them side by side until the lab ends."""
    lab = os.pidfd_open(int(init))
    output = os.open(file, os.O_WRONLY | os.O_APPEND)
    for entry in entries:
        name, address = entry.split("=")
        threading.Thread(target=keep_asking, args=(name, address, float(interval), output), daemon=True).start()
    select.select([lab], [], [])


if __name__ == "__main__":
    main(*sys.argv[1:])
