# The desk of the compiled matcher: takes buffers from Python, releases the GIL, calls the headers. No loops here.

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stddef cimport size_t


cdef extern from "lines.hpp" namespace "kaudit" nogil:
    cdef struct TerminatedLines:
        size_t count
        size_t end

    # Qualified, because the function exported to Python has the same name.
    TerminatedLines _terminated_lines "kaudit::terminated_lines"(const char* data, size_t size) noexcept


def terminated_lines(data, /):
    cdef Py_buffer view
    cdef TerminatedLines lines
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        with nogil:
            lines = _terminated_lines(<const char*> view.buf, <size_t> view.len)
    finally:
        PyBuffer_Release(&view)
    return lines.count, lines.end
