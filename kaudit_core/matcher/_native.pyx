# The desk of the compiled matcher: takes buffers from Python, releases the GIL, calls the headers. No loops over
# events here: only over the few that the headers hand back.

from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITE, PyBuffer_Release, PyObject_GetBuffer
from cpython.memoryview cimport PyMemoryView_FromMemory
from libc.stddef cimport size_t
from libcpp.memory cimport unique_ptr, make_unique


cdef string_view view_of(bytes text):
    return string_view(<const char*> text, <size_t> len(text))


cdef str text_of(string_view text):
    return text.data()[:text.size()].decode("utf-8", "surrogateescape") if text.size() else ""


cdef class CompiledPolicy:
    cdef unique_ptr[Rules] rules

    def __cinit__(self, numbers, sizes, bytes texts, /):
        cdef PolicySource source
        cdef Py_buffer number_view, size_view
        PyObject_GetBuffer(numbers, &number_view, PyBUF_SIMPLE)
        PyObject_GetBuffer(sizes, &size_view, PyBUF_SIMPLE)
        source.numbers, source.number_count = <const uint32_t*> number_view.buf, <size_t> number_view.len // 4
        source.sizes, source.size_count = <const uint32_t*> size_view.buf, <size_t> size_view.len // 4
        source.texts = view_of(texts)
        try:
            with nogil:
                self.rules = make_unique[Rules](source)
        finally:
            PyBuffer_Release(&number_view)
            PyBuffer_Release(&size_view)


cdef class PolicyMatcher:
    cdef CompiledPolicy policy
    cdef unique_ptr[Rows] rows
    cdef RequestInfo info

    def __cinit__(self, CompiledPolicy policy not None, /):
        self.policy = policy
        self.rows = make_unique[Rows](policy.rules.get()[0])

    def match(self, bytes user, tuple groups, tuple texts, bint resource_request, /):
        cdef vector[string_view] group_views
        cdef Attributes request
        cdef size_t rule
        for group in groups:
            group_views.push_back(view_of(group))
        request.has_user, request.resource_request = user is not None, resource_request
        request.user = view_of(user or b"")
        request.groups, request.group_count = group_views.data(), group_views.size()
        verb, name_space, api_group, resource, subresource, name, path = texts
        request.verb, request.name_space, request.api_group = view_of(verb), view_of(name_space), view_of(api_group)
        request.resource, request.subresource = view_of(resource), view_of(subresource)
        request.name, request.path = view_of(name), view_of(path)
        rule = self.rows.get().match(request)
        return None if rule == self.policy.rules.get().count() else rule

    def resolve(self, bytes verb, bytes uri, bint escaped, /):
        cdef Attributes found
        if not self.info.resolve(view_of(verb), view_of(uri), escaped, found):
            return None
        texts = (found.verb, found.name_space, found.api_group, found.api_version)
        more = (found.resource, found.subresource, found.name, found.path)
        return (*map(text_of, texts), *map(text_of, more), bool(found.resource_request))


cdef ssize_t read_stream(void* context, char* into, size_t size) noexcept with gil:
    segment = <OpenSegment> context
    try:
        return segment.stream.readinto(PyMemoryView_FromMemory(into, <Py_ssize_t> size, PyBUF_WRITE)) or 0
    except BaseException as error:
        segment.failure = error
        return -1


cdef class OpenSegment:
    cdef unique_ptr[Reader] reader
    cdef object stream
    cdef readonly object failure

    def __cinit__(self, source, size_t block, size_t max_line, /):
        cdef Source from_here
        self.failure = None
        if isinstance(source, int):
            from_here.file = source
        else:
            self.stream = source
            from_here.read, from_here.context = read_stream, <void*> self
        self.reader = make_unique[Reader](from_here, block, max_line)

    @property
    def failed(self):
        return self.reader.get().failed()

    @property
    def errno(self):
        return self.reader.get().error()

    def lines_before(self):
        return self.reader.get().lines_before()


cdef class PolicyWorker:
    cdef CompiledPolicy policy
    cdef unique_ptr[Worker] worker

    def __cinit__(self, CompiledPolicy policy not None, cbool projects=False, /):
        self.policy = policy
        self.worker = make_unique[Worker](policy.rules.get()[0], projects)

    def begin(self, uint64_t examples, /):
        self.worker.get().begin(examples)

    def advance(self, OpenSegment segment not None, uint64_t budget, /):
        cdef cbool more
        with nogil:
            more = self.worker.get().advance(segment.reader.get()[0], budget)
        return more, self.worker.get().bytes()

    def odd(self):
        cdef Odd one
        cdef size_t place
        found = []
        for place in range(self.worker.get().odd().size()):
            one = self.worker.get().odd()[place]
            data = one.data[:one.length] if one.data != NULL else None
            found.append((one.block, one.line, one.offset, one.size, data, bool(one.unfinished)))
        return found

    @property
    def lines(self):
        return self.worker.get().lines()

    def column(self, size_t index, /):
        cdef string_view view = self.worker.get().columns().buffer(index)
        return view.data()[:view.size()] if view.size() else b""

    def tally(self):
        cdef Tally* tally = &self.worker.get().judge().tally()
        cdef size_t rule
        rules = []
        for rule in range(tally.by_rule.size()):
            if tally.by_rule[rule].events:
                index = rule if rule + 1 < tally.by_rule.size() else None
                rules.append((index, tally.by_rule[rule].events, tally.by_rule[rule].bytes))
        return rules, list(tally.by_level_and_stage), list(tally.by_findings)
