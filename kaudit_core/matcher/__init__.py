"""The matcher: compiled pieces that do per byte what the readable reference does per event.

`Matcher` is the way in for other programs; it is imported when it is asked for, so that the command line does not pay
for it. ``_native`` is optional: it is built when the machine that installs kaudit has a C++ compiler.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kaudit_core.matcher.api import Matcher, PolicyRefused

__all__ = ["Matcher", "PolicyRefused"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from kaudit_core.matcher import api

    return getattr(api, name)
