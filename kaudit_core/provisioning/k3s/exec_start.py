"""Flags of the API server in an ExecStart that already carries some, as minimal splices."""

from __future__ import annotations

import re
from collections.abc import Mapping

from kaudit_core.provisioning.k3s.distribution import ARGUMENT_KEY, Distribution
from kaudit_core.provisioning.k3s.server import ServerView, Use, flag_of
from kaudit_core.provisioning.k3s.unit import EXEC_START
from kaudit_core.provisioning.k3s.words import Word, line_of, quoted
from kaudit_core.provisioning.refusal import EditRefused

Splice = tuple[int, int, str]


def put(distribution: Distribution, view: ServerView, flags: Mapping[str, str | None], mounts: list[str]) -> str:
    """The text of ExecStart's file with these flags: each once, in the place of the last of its uses, or at the end."""
    splices: list[Splice] = []
    new: list[str] = []
    for name, value in flags.items():
        uses = _uses_of(distribution, view, name)
        _check_literal(view, uses)
        last = uses[-1] if uses and value is not None else None
        splices += [_without(view, use) for use in uses if use is not last]
        if last is not None and value is not None:
            splices += _replaced(distribution, last, name, value)
        elif value is not None:
            new.append(_flag_text(distribution, name, value))
    present = [use.value for use in view.uses if use.name == distribution.mount_key]
    new += [f"--{distribution.mount_key}={mount}" for mount in mounts if mount not in present]
    return _spliced(view, [*splices, *_added(distribution, view, new)])


def drop(distribution: Distribution, view: ServerView, flags: Mapping[str, str | None], mounts: list[str]) -> str:
    """The text of ExecStart's file without any use of these flags."""
    uses = [use for name in flags for use in _uses_of(distribution, view, name)]
    uses += [use for use in view.uses if distribution.mount_key == use.name and use.value in mounts]
    _check_literal(view, uses)
    return _spliced(view, [_without(view, use) for use in uses])


def _uses_of(distribution: Distribution, view: ServerView, name: str) -> list[Use]:
    return [
        use
        for use in view.uses
        if (use.name == ARGUMENT_KEY and flag_of(use.value)[0] == name) or (use.name == distribution.policy_key == name)
    ]


def _check_literal(view: ServerView, uses: list[Use]) -> None:
    for use in uses:
        if use.variable:
            line = line_of(view.command.file.text, use.words[0].start)
            problem = f"--{use.name} comes from a variable of the environment"
            raise EditRefused(view.command.file.path, line, EXEC_START, problem, "write it into ExecStart itself")


def _flag_text(distribution: Distribution, name: str, value: str) -> str:
    own = distribution.policy_key == name
    return f"--{name}={value}" if own else f"--{ARGUMENT_KEY}={name}={value}"


def _replaced(distribution: Distribution, use: Use, name: str, value: str) -> list[Splice]:
    own = use.name == distribution.policy_key
    if use.value == value if own else flag_of(use.value) == (name, value):
        return []
    text = value if own else f"{name}={value}"
    word = use.words[-1]
    if len(use.words) == 1:
        dashes = word.value[: len(word.value) - len(word.value.lstrip("-"))]
        text = f"{dashes}{use.name}={text}"
    return [(word.start, word.end, quoted(text, word.quote))]


def _added(distribution: Distribution, view: ServerView, new: list[str]) -> list[Splice]:
    """New flags behind the last one of their kind, separated and quoted as that is."""
    anchor = [use for use in view.uses if use.name in distribution.keys][-1]
    _check_literal(view, [anchor] if new else [])
    end = anchor.words[-1].end
    gap = _gap(view, anchor.words[0])
    if "\n" in gap:
        gap = re.sub(r"^([^\n]*\n)(?:.*\n)*", r"\1", gap)
    return [(end, end, "".join(f"{gap}{quoted(text, anchor.words[0].quote)}" for text in new))]


def _gap(view: ServerView, word: Word) -> str:
    return view.command.file.text[_end_before(view, word) : word.start]


def _end_before(view: ServerView, word: Word) -> int:
    """Where the word before this one ends."""
    words = (view.command.program, *view.command.words)
    return words[words.index(word) - 1].end


def _without(view: ServerView, use: Use) -> Splice:
    """A use and the gap before it; comments in that gap stay, with the line breaks they need."""
    text = view.command.file.text
    start, end = _end_before(view, use.words[0]), use.words[-1].end
    gap = text[start : use.words[0].start]
    if not re.search(r"\n[ \t]*[#;]", gap):
        return start, end, ""
    line = text.rfind("\n", 0, use.words[0].start) + 1
    behind = re.compile(r"[ \t]*\\\r?\n").match(text, end)
    if behind is None:
        problem = f"a comment stands before --{use.name}, the last argument"
        raise EditRefused(view.command.file.path, line_of(text, line), EXEC_START, problem, "move the comment away")
    return line, behind.end(), ""


def _spliced(view: ServerView, splices: list[Splice]) -> str:
    text = view.command.file.text
    # Of two at one place, what is taken away comes before what is added.
    for start, end, new in sorted(splices, key=lambda splice: (splice[0], splice[1]), reverse=True):
        text = text[:start] + new + text[end:]
    return text
