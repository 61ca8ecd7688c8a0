"""Which unit the server is, and whether it came back with what was written."""

from __future__ import annotations

import pytest

from kaudit_core.provisioning.k3s.distribution import K3S, RKE2
from kaudit_core.provisioning.k3s.restart import Seen, ServiceWatch, last_words, running_flags
from kaudit_core.provisioning.k3s.server import config_of
from kaudit_core.provisioning.k3s.service import choose_unit, parse_service
from kaudit_core.provisioning.refusal import EditRefused
from kaudit_core.provisioning.restart import FAILED, PROVEN, WAITING
from tests.provisioning.units import PLAIN, k3s

SHOWN = """\
NRestarts=3
Result=exit-code
MainPID=0
ActiveState=activating
FragmentPath=/etc/systemd/system/k3s.service
DropInPaths=/etc/systemd/system/k3s.service.d/a.conf /etc/systemd/system/k3s.service.d/b.conf
"""
FLAGS = {"audit-policy-file": "/p/a b.yaml", "audit-log-path": "/l"}
STARTED = (
    'time="2026-11-21T04:30:00Z" level=info '
    'msg="Running kube-apiserver --advertise-port=6443 --audit-log-path=/l --audit-policy-file=/p/a b.yaml --v=2"\n'
)
OTHER = STARTED.replace("/l ", "/old ")


def test_service_is_read() -> None:
    """Every file of the unit, in systemd's order."""
    service = parse_service(SHOWN)

    names = ("k3s.service", "k3s.service.d/a.conf", "k3s.service.d/b.conf")
    assert tuple(f"/etc/systemd/system/{name}" for name in names) == service.unit_files
    assert (0, 3, "activating", "exit-code") == (service.pid, service.restarts, service.state, service.result)
    with pytest.raises(ValueError, match="printed no MainPID"):
        parse_service(SHOWN.replace("MainPID", "X"))


chosen = {
    "k3s": ("", ["ssh.service", "k3s.service"], (K3S, "k3s.service")),
    "named": ("k3s", ["k3s-blue.service"], (K3S, "k3s-blue.service")),
    "agent-beside": ("", ["k3s.service", "k3s-agent.service"], (K3S, "k3s.service")),
    "rke2": ("", ["rke2-server.service", "rke2-agent.service"], (RKE2, "rke2-server.service")),
    "both-one-wanted": ("rke2", ["k3s.service", "rke2-server.service"], (RKE2, "rke2-server.service")),
}


@pytest.mark.parametrize(("wanted", "units", "expected"), [pytest.param(*row, id=name) for name, row in chosen.items()])
def test_unit_is_found(wanted: str, units: list[str], expected: object) -> None:
    """Agents don't count (pitfall P30)."""
    assert expected == choose_unit(wanted, units)


refused = {
    "two": (
        ["k3s-a.service", "k3s-b.service"],
        [],
        "several servers are set up here: k3s-a.service, k3s-b.service; name",
    ),
    "agent": (["k3s-agent.service"], [], "no service of a k3s or rke2 server is set up here; is this a server"),
    "openrc": ([], ["ssh", "k3s"], "/etc/init.d/k3s: this is an OpenRC service, and only systemd is supported; "),
}


@pytest.mark.parametrize(
    ("units", "scripts", "message"), [pytest.param(*row, id=name) for name, row in refused.items()]
)
def test_no_single_server_is_refused(units: list[str], scripts: list[str], message: str) -> None:
    """One line, with what to do."""
    with pytest.raises(EditRefused, match=message):
        choose_unit("", units, scripts)


def test_config_is_known_before_it_is_read() -> None:
    """Its path comes from unit and variables alone."""
    assert "/srv/c.yaml" == config_of(k3s(PLAIN.replace("server", "server -c /srv/c.yaml")))


def test_flags_come_from_the_journal() -> None:
    """The last start counts, quotes are taken off, other flags are left out."""
    assert FLAGS == running_flags(OTHER + "x\n" + STARTED)
    assert {"audit-log-path": '/a"b'} == running_flags(
        'level=info msg="Running kube-apiserver --audit-log-path=/a\\"b"'
    )
    assert running_flags("nothing\n") is None


Look = tuple[float, int, int, str, int]
OLD: Look = (0, 10, 0, OTHER, 200)
watched: dict[str, tuple[list[Look], list[str], str]] = {
    "good": (
        [OLD, (1, 11, 0, STARTED, 0), (2, 11, 0, STARTED, 200), (5, 11, 0, STARTED, 200)],
        [WAITING] * 3 + [PROVEN],
        "",
    ),
    "unready-meanwhile": (
        [(2, 11, 0, STARTED, 200), (3, 11, 0, STARTED, 500), (5, 11, 0, STARTED, 200), (8, 11, 0, STARTED, 200)],
        [WAITING] * 3 + [PROVEN],
        "",
    ),
    "another-process-begins-anew": (
        [(2, 11, 0, STARTED, 200), (4, 12, 1, STARTED, 200), (6, 12, 1, STARTED, 200), (7, 12, 1, STARTED, 200)],
        [WAITING] * 3 + [PROVEN],
        "",
    ),
    "other-flags": (
        [(1, 11, 0, OTHER, 0), (4, 11, 0, OTHER, 200)],
        [WAITING, FAILED],
        "other flags than were written: --audit-log-path is /old, not /l",
    ),
    "one-more-of-the-old-first": (
        [(1, 11, 1, OTHER, 200), (2, 12, 0, STARTED, 200), (5, 12, 0, STARTED, 200)],
        [WAITING, WAITING, PROVEN],
        "",
    ),
    "loop": (
        [(1, 11, 0, STARTED, 0), (6, 0, 1, "", 0), (12, 13, 2, STARTED, 0)],
        [WAITING, WAITING, FAILED],
        "started 3 times and ended each time",
    ),
    "count-set-back": (
        [(1, 0, 7, "", 0), (2, 11, 0, STARTED, 0), (9, 12, 2, "", 0)],
        [WAITING, WAITING, FAILED],
        "started 3 times and ended each time",
    ),
    "old-stays": ([OLD, (99, 10, 0, OTHER, 200)], [WAITING, FAILED], "after 30 s the old server still runs"),
    "none": ([(99, 0, 0, "", 0)], [FAILED], "no server runs"),
    "silent": ([(99, 11, 0, "", 0)], [FAILED], "has not started its API server"),
    "never-ready": ([(99, 11, 0, STARTED, 0)], [FAILED], "is not ready (/readyz: no answer)"),
}


@pytest.mark.parametrize(("looks", "verdicts", "why"), [pytest.param(*row, id=name) for name, row in watched.items()])
def test_restart_is_proven_or_failed(looks: list[Look], verdicts: list[str], why: str) -> None:
    """Look after look."""
    watch = ServiceWatch(FLAGS, before=frozenset({10}), restarts_before=looks[0][2], settle=3, limit=30, began=0)

    assert verdicts == [watch.observe(Seen(*look)) for look in looks]
    assert why in watch.why


def test_a_process_that_went_on_need_not_say_its_flags() -> None:
    """Its start may be gone from the journal; readiness is asked for all the same."""
    watch = ServiceWatch(FLAGS, frozenset(), 0, settle=3, limit=30, began=0, kept=frozenset({10}))
    looks = [(0, 10, 0, "", 0), (1, 10, 0, "", 200), (4, 10, 0, "", 200)]

    assert [WAITING, WAITING, PROVEN] == [watch.observe(Seen(*look)) for look in looks]


def test_last_words_are_found() -> None:
    """Errors of the API server and the end of k3s, each once; without any, the last lines."""
    error = 'E1121 04:30:00.1 1 run.go:72] "command failed" err="loading audit policy file: illegal policy"'
    journal = f'I1121 a\n{error}\nlevel=info x\n{error}\nlevel=info msg="apiserver exited: 1"\nStopped.\n'

    assert [error, 'level=info msg="apiserver exited: 1"'] == last_words(journal)
    assert ["b", "c"] == last_words("a\nb\nc\n", most=2)
