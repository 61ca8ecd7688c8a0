"""Files whose content nobody may see: which they are, and that their sums are enough for every plan."""

from __future__ import annotations

from typing import Any

from kaudit_core.provisioning.files import kept_name
from kaudit_core.provisioning.host import Host, read_host
from kaudit_core.provisioning.on_host import named_files, secret_files
from tests.provisioning.a_master import (
    HOOK,
    MANIFEST,
    PATHS,
    POLICY,
    STARTED,
    STATE_FILES,
    Master,
    sha256,
    slurped,
    state,
)


def read(master: Master) -> list[dict[str, Any]]:
    """Every file of a master that is there or may be."""
    paths = dict.fromkeys([MANIFEST, POLICY, HOOK, *map(state, STATE_FILES), *master.files])
    return [slurped(path, master.files.get(path)) for path in paths]


class Hidden(Master):
    """A master whose secret files are read as sums, as the action read_files does."""

    def host(self) -> Host:
        plain = read(self)
        secret = {HOOK, *secret_files({"results": plain}, PATHS)}.intersection(self.files)
        sums = [{"item": path, "sha256": sha256(self.files[path])} for path in sorted(secret)]
        results = [*(each for each in plain if each["item"] not in secret), *sums]
        return read_host(PATHS, results, [slurped(MANIFEST, self.files[MANIFEST])], [{"pid": 7, "started": STARTED}])


def test_secret_files_are_those_of_the_record_and_what_was_there_before() -> None:
    master = Master()
    master.files[HOOK] = "by hand"
    master.deploy(hook="secret")
    files = {"results": read(master)}

    assert sorted([HOOK, state(f"originals/{kept_name(HOOK)}")]) == secret_files(files, PATHS)
    assert [] == named_files(files, PATHS)


def test_nothing_is_secret_on_a_fresh_master() -> None:
    assert [] == secret_files({"results": read(Master())}, PATHS)


def test_plans_are_the_same_with_sums_alone() -> None:
    """Deploying, changing, going back and disabling."""
    plain, hidden = Master(), Hidden()
    for master in (plain, hidden):
        master.files[HOOK] = "by hand"
        master.deploy(hook="secret")
    for hook in ("secret", "other"):
        assert plain.plan(hook=hook) == hidden.plan(hook=hook)
    for master in (plain, hidden):
        master.deploy(hook="other")
    assert plain.plan_back() == hidden.plan_back()
    assert plain.plan_off() == hidden.plan_off()
