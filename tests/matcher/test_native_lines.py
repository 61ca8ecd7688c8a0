"""kaudit_core.matcher._native.terminated_lines against its plain definition."""

from __future__ import annotations

import mmap
import tempfile
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

native = pytest.importorskip(
    "kaudit_core.matcher._native", reason="the extension was not built: needs a C++ compiler", exc_type=ImportError
)

lines_of_bytes = st.lists(st.sampled_from([b"\n", b"\r\n", b"\0", b"x", b"{}", b"\xff" * 63, b"y" * 64])).map(b"".join)


def defined(data: bytes) -> tuple[int, int]:
    """The definition: how many newlines, and where the rest after the last one begins."""
    return data.count(b"\n"), data.rfind(b"\n") + 1


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(b"", (0, 0), id="empty-has-no-line"),
        pytest.param(b"{}", (0, 0), id="unterminated-is-no-line"),
        pytest.param(b"\n", (1, 1), id="blank-line-is-a-line"),
        pytest.param(b"{}\n", (1, 3), id="terminated-is-a-line"),
        pytest.param(b"{}\n{", (1, 3), id="rest-begins-after-the-newline"),
        pytest.param(b"\n\n\n", (3, 3), id="neighbouring-newlines-count-each"),
        pytest.param(b"{}\r\n", (1, 4), id="carriage-return-belongs-to-the-line"),
        pytest.param(b"\0\0\n\0", (1, 3), id="nul-is-an-ordinary-byte"),
    ],
)
def test_terminated_lines(data: bytes, expected: tuple[int, int]) -> None:
    """Lines are counted and the offset after the last newline is returned."""
    assert native.terminated_lines(data) == expected


@given(data=lines_of_bytes | st.binary(max_size=300))
def test_agrees_with_the_definition(data: bytes) -> None:
    """The compiled count is the plain definition's."""
    assert native.terminated_lines(data) == defined(data)


@given(data=lines_of_bytes, cut=st.integers(min_value=0, max_value=1_000))
def test_splitting_with_the_rest_carried_over_changes_nothing(data: bytes, cut: int) -> None:
    """Two blocks, the rest of the first put before the second, hold the lines of the whole."""
    count, end = native.terminated_lines(data[:cut])
    rest_count, rest_end = native.terminated_lines(data[end:])

    assert (count + rest_count, end + rest_end) == defined(data)


@pytest.mark.parametrize("size", [63, 64, 65, 4_095, 4_096, 4_097])
def test_newline_at_the_ends_of_vector_and_page_sizes(size: int) -> None:
    """A newline as first or last byte of a block is found at every alignment."""
    for block in (b"\n" + b"x" * (size - 1), b"x" * (size - 1) + b"\n"):
        for offset in range(17):
            assert native.terminated_lines(memoryview(b"y" * offset + block)[offset:]) == defined(block)


def test_buffers_of_every_kind_are_taken() -> None:
    """bytearray, memoryview and a mapped file work like bytes."""
    with tempfile.TemporaryFile() as file:
        file.write(b"{}\n{}\n{")
        file.flush()
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            assert native.terminated_lines(mapped) == (2, 6)
    assert native.terminated_lines(bytearray(b"a\nb")) == (1, 2)
    assert native.terminated_lines(memoryview(b"a\nb")[1:]) == (1, 1)


@pytest.mark.parametrize("wrong", ["text\n", None, 7, memoryview(b"a\nb\n")[::2]])
def test_anything_but_a_contiguous_buffer_is_refused(wrong: object) -> None:
    """Text, numbers and strided views raise; nothing is guessed."""
    with pytest.raises((TypeError, BufferError)):
        native.terminated_lines(wrong)


def test_buffer_is_released() -> None:
    """A bytearray can be resized after the call: no export is left behind."""
    data = bytearray(b"a\n")
    native.terminated_lines(data)
    data.extend(b"b\n")

    assert native.terminated_lines(data) == (2, 4)


def test_other_threads_run_meanwhile() -> None:
    """The GIL is released: another thread makes progress during one long call."""
    data = b"\n" * 30_000_000
    ticks = 0
    done = threading.Event()

    def tick() -> None:
        nonlocal ticks
        while not done.is_set():
            ticks += 1

    thread = threading.Thread(target=tick)
    thread.start()
    before = ticks
    native.terminated_lines(data)
    after = ticks
    done.set()
    thread.join()

    assert after > before + 100
