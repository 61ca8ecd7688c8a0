"""The compiled matcher. Optional: absent where kaudit was installed without a C++ compiler."""

from typing_extensions import Buffer

def terminated_lines(data: Buffer, /) -> tuple[int, int]:
    """Count the newline-terminated lines of a buffer and say where the unterminated rest begins.

    Returns the number of newlines and the offset of the byte after the last one (0 if there is none).
    Takes any contiguous buffer (bytes, bytearray, memoryview, mmap) without copying it; the GIL is released once,
    so other threads run, and the buffer must not be changed meanwhile.
    """
