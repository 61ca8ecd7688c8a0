"""Reading in a thread of its own: inflating a segment and judging it take turns otherwise."""

from __future__ import annotations

import queue
import threading
from contextlib import suppress
from typing import Any, Final

_PIECE: Final = 256 * 1024
_PIECES: Final = 8


class ReadAhead:
    """A stream whose next pieces are read before they are asked for; at most a few at a time are held.

    An error behind the bytes that were read comes after them, as it would from the stream itself.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._pieces: queue.Queue[bytes | BaseException] = queue.Queue(_PIECES)
        self._piece = memoryview(b"")
        self._end: BaseException | None = None
        self._ended = self._stopped = False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill a buffer with what comes next; 0 is the end."""
        if not self._piece and not self._ended:
            piece = self._pieces.get()
            if isinstance(piece, BaseException):
                self._ended, self._end = True, piece
            else:
                self._piece, self._ended = memoryview(piece), not piece
        if self._end is not None:
            raise self._end
        size = min(len(buffer), len(self._piece))
        buffer[:size], self._piece = self._piece[:size], self._piece[size:]
        return size

    def stop(self) -> None:
        """Nobody reads any more: end the thread once it has read what it waits for, and wake whoever waits for it."""
        self._stopped = True
        with suppress(queue.Empty):
            while True:
                self._pieces.get_nowait()
        self._pieces.put(b"")

    def _read(self) -> None:
        try:
            while not self._stopped:
                piece = self._stream.read1(_PIECE)
                self._pieces.put(piece)
                if not piece:
                    break
        except BaseException as error:
            self._pieces.put(error)
