"""Auditing on a k3s or RKE2 server: apply and remove. Texts in, changed texts out; a text that goes away is None.

A drop-in file of our own in config.yaml.d carries the flags. Only where ExecStart already carries flags of the API
server, which makes everything of their kind in the files count for nothing, ExecStart is edited; never both.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from posixpath import basename

from kaudit_core.provisioning.intent import AuditIntent
from kaudit_core.provisioning.k3s import drop_in, exec_start
from kaudit_core.provisioning.k3s.config import Argument, open_config, refusal_at, values_of
from kaudit_core.provisioning.k3s.distribution import ARGUMENT_KEY, DROP_IN, OLDEST_WITH_DROP_INS, Distribution
from kaudit_core.provisioning.k3s.server import ServerFiles, ServerView, flag_of, read_server
from kaudit_core.provisioning.k3s.unit import EXEC_START
from kaudit_core.provisioning.refusal import EditRefused

Edits = dict[str, str | None]


def apply(files: ServerFiles, intent: AuditIntent, previous: AuditIntent | None = None) -> Edits:
    """The files that change so that the API server gets the intent's flags; `previous` as in manifest.apply."""
    view = read_server(files)
    wanted = intent.after(previous) if previous else intent
    _check_env(files.distribution, view, intent)
    if view.in_exec_start:
        edits = _in_exec_start(files, view, wanted)
    else:
        _check_own(files, view, [previous, wanted] if previous else [wanted])
        edits = _in_config(files, view, wanted)
    edits = {path: text for path, text in edits.items() if text != _text_of(files, path)}
    _check_result(files.changed(edits), view, wanted)
    return edits


def remove(files: ServerFiles, intent: AuditIntent) -> Edits:
    """The files that change so that nothing of the intent is left: its drop-in, else its flags in ExecStart."""
    view = read_server(files)
    path = view.drop_in
    if path in files.config_files:
        left = drop_in.without(files.distribution, intent, path, files.config_files[path])
        return {path: left} if left != files.config_files[path] else {}
    if not view.in_exec_start:
        return {}
    text = exec_start.drop(files.distribution, view, intent.flags, _mounts(files, intent))
    return {view.command.file.path: text} if text != view.command.file.text else {}


def check_version(distribution: Distribution, version: str) -> None:
    """Refuse a server too old for drop-in files; `version` as in v1.35.4+k3s1. Raises EditRefused."""
    found = re.match(r"v?(\d+)\.(\d+)", version)
    if found and (int(found[1]), int(found[2])) < OLDEST_WITH_DROP_INS:
        oldest = ".".join(map(str, OLDEST_WITH_DROP_INS))
        problem = f"{distribution.name} {version} is older than {oldest} and can't be relied on to read config.yaml.d"
        raise EditRefused(f"{distribution.config}.d", 0, "", problem, f"upgrade {distribution.name} first")


def _check_env(distribution: Distribution, view: ServerView, intent: AuditIntent) -> None:
    """Refuse variables of a container: Logtail finds them in static pods, and would collect nothing here."""
    if intent.env:
        problem = f"{distribution.name} has no place for the variable {next(iter(intent.env))} of a static pod"
        raise EditRefused(view.drop_in, 0, "", problem, "leave apiserver_audit_aliyun_logs empty here")


def _text_of(files: ServerFiles, path: str) -> str | None:
    units = {file.path: file.text for file in files.unit_files}
    return units.get(path, files.config_files.get(path))


def _in_exec_start(files: ServerFiles, view: ServerView, wanted: AuditIntent) -> Edits:
    edits: Edits = {}
    for argument in view.ignored:
        if argument.file == view.drop_in:
            # The unit was given flags since; ours were lost with the drop-in, which must not come back to life.
            text = files.config_files[view.drop_in]
            edits[view.drop_in] = drop_in.without(files.distribution, wanted, view.drop_in, text)
        elif argument.key.startswith(ARGUMENT_KEY) and not flag_of(argument.value)[0].startswith("audit-"):
            continue
        else:
            problem = f"{argument.value} is set here and flags of the API server in {view.command.file.path} too"
            raise refusal_at(argument, problem, "leave one of the two places")
    edits[view.command.file.path] = exec_start.put(files.distribution, view, wanted.flags, _mounts(files, wanted))
    return edits


def _mounts(files: ServerFiles, intent: AuditIntent) -> list[str]:
    return drop_in.given(files.distribution, intent).get(files.distribution.mount_key, [])


def _in_config(files: ServerFiles, view: ServerView, wanted: AuditIntent) -> Edits:
    edits: Edits = {}
    for path in view.read:
        if path != view.drop_in:
            edits[path] = _without_flags(path, files.config_files[path], wanted)
    edits[view.drop_in] = drop_in.rendered(files.distribution, wanted)
    _check_last(files, view)
    return edits


def _check_own(files: ServerFiles, view: ServerView, intents: list[AuditIntent]) -> None:
    """Refuse to write our file anew where somebody added to it: that would be lost."""
    path = view.drop_in
    left = text = files.config_files.get(path)
    for intent in intents:
        left = left and drop_in.without(files.distribution, intent, path, left)
    editor, rest = open_config(path, text or ""), open_config(path, left or "")
    if editor and rest:
        key = str(next(iter(rest.get(()))))
        raise editor.refusal((key,), "somebody added this to kaudit's own file", "move it to a file of its own")


def _without_flags(path: str, text: str, wanted: AuditIntent) -> str:
    """Another file without the flags that our own sets: of two with one name it is not sure which one counts (P12)."""
    while editor := open_config(path, text):
        found = [*values_of(editor, ARGUMENT_KEY), *values_of(editor, f"{ARGUMENT_KEY}+")]
        ours = [argument for argument in found if flag_of(argument.value)[0] in wanted.flags]
        if not ours:
            break
        text = drop_in.emptied(editor, ours[-1].at)
    return text


def _check_last(files: ServerFiles, view: ServerView) -> None:
    """Refuse a later file that would replace what ours says."""
    for path in view.read:
        editor = open_config(path, files.config_files[path]) if basename(path) > DROP_IN else None
        for key in files.distribution.keys if editor and path != view.config else ():
            if editor is not None and key in editor.get(()):
                problem = f"this replaces what {DROP_IN} before it says"
                argument = Argument("", path, 0, key)
                found = values_of(editor, key)
                advice = f"write {key}+, or give the file a name that comes before {DROP_IN}"
                raise refusal_at(found[0] if found else argument, problem, advice)


def _check_result(after: ServerFiles, before: ServerView, wanted: AuditIntent) -> None:
    """Refuse a server that would get other flags than wanted, or lose others."""
    view = read_server(after)
    place = (view.command.file.path, 0, EXEC_START) if view.in_exec_start else (view.drop_in, 0, ARGUMENT_KEY)
    names = [flag_of(argument.value)[0] for argument in view.arguments] + ["audit-policy-file"] * len(view.policy)
    for name, value in wanted.flags.items():
        if view.flags.get(name) != value or names.count(name) > 1:
            problem = f"--{name} would not be {'absent' if value is None else value} for the server"
            raise EditRefused(*place, problem, "edit the files by hand")
    if _others(before, wanted.flags) != _others(view, wanted.flags):
        raise EditRefused(*place, "other flags would change with ours", "edit the files by hand")


def _others(view: ServerView, ours: Mapping[str, str | None]) -> list[str]:
    return [argument.value for argument in view.arguments if flag_of(argument.value)[0] not in ours]
