"""Why a text is not edited."""

from __future__ import annotations


class EditRefused(Exception):
    """The text can't be edited safely; the message is one line: part, line, field, problem, what to do."""

    def __init__(self, part: str, line: int, field: str, problem: str, advice: str) -> None:
        self.part = part
        self.line = line
        self.field = field
        self.problem = problem
        self.advice = advice
        place = [part, f"line {line}" if line else "", field]
        super().__init__(f"{', '.join(piece for piece in place if piece)}: {problem}; {advice}")


class SettingsError(ValueError):
    """A variable can't be used: its name, what is wrong with it, what to do."""
