# What the desk calls of the headers. They hold no Python, and none of these functions needs the GIL.

from libc.stdint cimport uint32_t, uint64_t
from libcpp cimport bool as cbool
from libcpp.string_view cimport string_view
from libcpp.vector cimport vector

cdef extern from "rules.hpp" namespace "kaudit" nogil:
    cdef cppclass PolicySource:
        const uint32_t* numbers
        size_t number_count
        const uint32_t* sizes
        size_t size_count
        string_view texts

    cdef cppclass Rules:
        Rules(const PolicySource&) except +
        size_t count() const

cdef extern from "request_info.hpp" namespace "kaudit" nogil:
    cdef cppclass Attributes:
        cbool has_user, resource_request
        size_t group_count
        const string_view* groups
        string_view user, verb, name_space, api_group, api_version, resource, subresource, name, path

    cdef cppclass RequestInfo:
        cbool resolve(string_view verb, string_view uri, cbool escaped, Attributes&) except +

cdef extern from "rows.hpp" namespace "kaudit" nogil:
    cdef cppclass Rows:
        Rows(const Rules&) except +
        size_t match(const Attributes&) except +

cdef extern from "tally.hpp" namespace "kaudit" nogil:
    cdef cppclass Count:
        uint64_t events, bytes

    cdef cppclass Tally:
        vector[Count] by_rule
        uint64_t by_level_and_stage[16]
        uint64_t by_findings[32]

cdef extern from "judge.hpp" namespace "kaudit" nogil:
    cdef cppclass Judge:
        Tally& tally()

cdef extern from "reader.hpp" namespace "kaudit" nogil:
    cdef cppclass Source:
        int file
        ssize_t (*read)(void* context, char* into, size_t size) noexcept
        void* context

    cdef cppclass Reader:
        Reader(const Source&, size_t block, size_t max_line) except +
        vector[uint64_t] lines_before() except +
        int error() const
        cbool failed() const

cdef extern from "columns.hpp" namespace "kaudit" nogil:
    cdef cppclass Columns:
        string_view buffer(size_t) const

cdef extern from "worker.hpp" namespace "kaudit" nogil:
    cdef cppclass Odd:
        uint64_t block, line, offset, size, length
        const char* data
        cbool unfinished

    cdef cppclass Worker:
        Worker(const Rules&, cbool projects) except +
        void begin(uint64_t examples) except +
        cbool advance(Reader&, uint64_t budget) except +
        const vector[Odd]& odd() const
        const Columns& columns() const
        uint64_t bytes() const
        uint64_t lines() const
        Judge& judge()
