"""The compiled matcher. Optional: absent where kaudit was installed without a C++ compiler.

Buffers are borrowed for the length of a call, in which other threads run and nobody may change them.
"""

from typing import Protocol

from typing_extensions import Buffer

class Fillable(Protocol):
    """Where bytes come from: a stream that fills a buffer; 0 is the end."""

    def readinto(self, buffer: memoryview, /) -> int | None: ...

class CompiledPolicy:
    """A policy in the form that matcher.compiler writes; immutable, for any number of threads."""

    def __init__(self, numbers: Buffer, sizes: Buffer, texts: bytes, /) -> None: ...

class PolicyMatcher:
    """One thread's view of a compiled policy."""

    def __init__(self, policy: CompiledPolicy, /) -> None: ...
    def match(
        self, user: bytes | None, groups: tuple[bytes, ...], texts: tuple[bytes, ...], resource_request: bool, /
    ) -> int | None:
        """The index of the first rule that matches, or None.

        texts: verb, namespace, API group, resource, subresource, name, path.
        """

    def resolve(
        self, verb: bytes, uri: bytes, escaped: bool, /
    ) -> tuple[str, str, str, str, str, str, str, str, bool] | None:
        """The attributes of a verb and a URI as it stands in JSON; None where the reference must look.

        They are verb, namespace, API group and version, resource, subresource, name, path, whether a resource is
        requested.
        """

class OpenSegment:
    """A segment that any number of workers read together: a file descriptor or a stream."""

    def __init__(self, source: int | Fillable, block: int, max_line: int, /) -> None: ...
    @property
    def failed(self) -> bool:
        """Whether reading broke off."""

    @property
    def failure(self) -> BaseException | None:
        """What the stream raised."""

    @property
    def errno(self) -> int:
        """What reading the descriptor gave, or 0."""

    def lines_before(self) -> list[int]:
        """How many lines stand before each block; only when no block is being judged."""

class PolicyWorker:
    """One thread's judge and what it has counted."""

    def __init__(self, policy: CompiledPolicy, projects: bool = False, /) -> None: ...
    @property
    def lines(self) -> int:
        """Lines of the last advance, an unterminated one not counted."""

    def column(self, index: int, /) -> bytes:
        """A buffer of the columns of what the last advance judged natively, when it projects: see columns.hpp."""

    def begin(self, examples: int, /) -> None:
        """Forget what was counted; the first records of each finding will be among the odd ones."""

    def advance(self, segment: OpenSegment, budget: int, /) -> tuple[bool, int]:
        """Judge blocks until one holds odd records, budget bytes are done or none is left.

        Returns whether there may be more, and how many bytes were taken.
        """

    def odd(self) -> list[tuple[int, int, int, int, bytes | None, bool]]:
        """The records of the last advance that the reference must judge.

        Each is a block, a line in it from 0, an offset, a size, the line without its newline (None when it is too
        long), and whether it has none.
        """

    def tally(self) -> tuple[list[tuple[int | None, int, int]], list[int], list[int]]:
        """What was counted since begin, without the odd records.

        Events and bytes of each rule (None: no rule matched) that has any; events by level and stage, the stages of
        a level side by side; records by the set of their findings, of which bit 0 is unexpected-event, then
        level-above, unexpected-body, unexpected-stage, level-below.
        """
