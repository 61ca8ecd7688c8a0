"""The proof of a restart: scenarios of what is seen on a host, look after look."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from kaudit_core.provisioning.restart import (
    FAILED,
    MISSED,
    PROVEN,
    RESTART,
    STOP,
    WAITING,
    Process,
    RestartWatch,
    Seen,
    last_words,
    parse_processes,
    server_flags,
)

OLD, NEW, LATER = (Process(pid, f"2026-11-21T04:30:{pid:02}Z") for pid in (1, 2, 3))
FLAGS = {"audit-log-path": "/var/log/a/a.log"}
OTHER = {"audit-log-path": "/old.log"}
SETTLE, LIMIT = 20.0, 100.0


@dataclass
class Look:
    """What is seen from one moment on."""

    at: float
    right: tuple[Process, ...] = ()
    status: int = 0
    logs: int = 0
    wrong: tuple[Process, ...] = ()
    old: tuple[Process, ...] = field(default=())


def watched(*looks: Look, before: frozenset[int] = frozenset([OLD.pid])) -> tuple[list[str], str]:
    """The verdict after each look, up to the first that is final, and why it failed."""
    watch = RestartWatch(FLAGS, before, frozenset(["0.log"]), SETTLE, LIMIT, began=0)
    verdicts = []
    for look in looks:
        processes = {
            **dict.fromkeys(look.old, {}),
            **dict.fromkeys(look.right, FLAGS),
            **dict.fromkeys(look.wrong, OTHER),
        }
        logs = frozenset(["0.log", *(f"new-{number}.log" for number in range(look.logs))])
        verdicts.append(watch.observe(Seen(look.at, processes, look.status, logs)))
        if verdicts[-1] != WAITING:
            break
    return verdicts, watch.why


def end(*looks: Look, before: frozenset[int] = frozenset([OLD.pid])) -> tuple[str, float, str]:
    """How it ended, at which look's time, and why."""
    verdicts, why = watched(*looks, before=before)
    return verdicts[-1], looks[len(verdicts) - 1].at, why


def steady(since: float, until: float, right: tuple[Process, ...] = (NEW,)) -> list[Look]:
    """A ready server, looked at every five seconds."""
    return [Look(since + 5 * step, right, 200) for step in range(int((until - since) // 5) + 1)]


proven = {
    "normal-restart": ([Look(0, old=(OLD,)), Look(2), Look(10, (NEW,)), *steady(15, 60)], 35),
    "old-one-answers-beside-the-new-one": (
        [Look(0, (NEW,), 200, old=(OLD,)), Look(30, (NEW,), 200, old=(OLD,)), *steady(31, 90)],
        51,
    ),
    "ready-then-replaced-at-the-re-list": ([*steady(0, 15), *steady(16, 90, (LATER,))], 36),
    "not-ready-for-a-moment": ([*steady(0, 15), Look(16, (NEW,), 500), *steady(17, 90)], 37),
    "gone-for-a-moment": ([*steady(0, 15), Look(16), *steady(17, 90)], 37),
    "two-new-ones-for-a-moment": ([Look(0, (NEW, LATER), 200), Look(25, (NEW, LATER), 200), *steady(26, 90)], 46),
    "last-one-of-the-manifest-before": (
        [Look(0, wrong=(LATER,), status=200), Look(19, wrong=(LATER,), status=200), *steady(20, 90)],
        40,
    ),
    "first-start-crashes": ([Look(1), Look(2, logs=1), Look(3, logs=1), Look(4, logs=1), *steady(5, 60)], 25),
    "second-start-seen-between-two-questions": ([Look(1, logs=1), Look(2, logs=2), *steady(3, 60)], 23),
    "ready-just-before-the-limit-may-settle": ([Look(50, (NEW,)), *steady(99, 150)], 119),
    "process-id-of-before-only-counts-by-id": ([*steady(0, 30, (Process(4, OLD.started),))], 20),
}


@pytest.mark.parametrize(("looks", "at"), proven.values(), ids=proven)
def test_restart_is_proven(looks: list[Look], at: float) -> None:
    """Not before one new server was ready, alone, for the whole settle time."""
    assert (PROVEN, at, "") == end(*looks)


failed = {
    "kubelet-does-not-notice": (
        [Look(0, old=(OLD,)), Look(100, old=(OLD,)), Look(101, old=(OLD,))],
        101,
        "after 100 s the old API server still runs: the kubelet has not taken the manifest up",
    ),
    "old-one-never-goes": (
        [Look(0, (NEW,), 200, old=(OLD,)), Look(101, (NEW,), 200, old=(OLD,))],
        101,
        "after 100 s the old API server still runs beside the new one",
    ),
    "two-new-ones-stay": (
        [Look(0, (NEW, LATER), 200), Look(101, (NEW, LATER), 200)],
        101,
        "after 100 s another API server still runs beside the new one",
    ),
    "never-ready": (
        [Look(5, (NEW,)), Look(50, (NEW,), 500), Look(101, (NEW,), 500)],
        101,
        "after 100 s the new API server runs and is not ready (/readyz: 500)",
    ),
    "never-answers": (
        [Look(5, (NEW,)), Look(101, (NEW,))],
        101,
        "after 100 s the new API server runs and is not ready (/readyz: no answer)",
    ),
    "nothing-runs": ([Look(0), Look(101)], 101, "after 100 s no API server runs"),
    "crash-loop": (
        [Look(1, logs=1), Look(2, (NEW,), logs=1), Look(3, logs=2), Look(4, logs=2), Look(5, logs=2)],
        4,
        "the new API server was started 2 times and ended each time",
    ),
    "unready-again-after-the-limit": (
        [Look(50, (NEW,)), *steady(95, 105), Look(106, (NEW,), 500)],
        106,
        "after 100 s the new API server runs and is not ready (/readyz: 500)",
    ),
    "second-manifest-wins": (
        [Look(0), Look(5, wrong=(NEW,), status=200), Look(15, wrong=(NEW,), status=200), Look(25, wrong=(NEW,))],
        25,
        "a new API server runs with other flags than the manifest's: --audit-log-path is /old.log, not"
        " /var/log/a/a.log; look for a second manifest",
    ),
    "second-manifest-wins-at-the-re-list": (
        [*steady(0, 15), Look(16, wrong=(LATER,), status=200), Look(36, wrong=(LATER,), status=200)],
        36,
        "a new API server runs with other flags than the manifest's: --audit-log-path is /old.log, not"
        " /var/log/a/a.log; look for a second manifest",
    ),
}


@pytest.mark.parametrize(("looks", "at", "why"), failed.values(), ids=failed)
def test_restart_fails(looks: list[Look], at: float, why: str) -> None:
    """As soon as it is certain, with the reason in one sentence."""
    assert (FAILED, at, why) == end(*looks)


def test_nothing_of_before_is_counted_when_restoring() -> None:
    """After a rollback the server of before may never have stopped: it is no one to be replaced."""
    assert PROVEN == end(*steady(0, 30, (OLD,)), before=frozenset())[0]


def test_difference_shows_what_is_absent() -> None:
    """A server without auditing is told from one with other values."""
    watch = RestartWatch(FLAGS, frozenset(), frozenset(), 0, LIMIT, 0)
    watch.observe(Seen(0, {NEW: {}}, 200))
    watch.observe(Seen(0, {NEW: {}}, 200))

    assert "--audit-log-path is absent, not /var/log/a/a.log" in watch.why


@pytest.mark.parametrize(("flags", "verdict"), [({**FLAGS, "audit-log-maxage": "30"}, PROVEN), ({}, WAITING)])
def test_a_distribution_may_give_flags_of_its_own(flags: dict[str, str], verdict: str) -> None:
    """RKE2 does; what was written must be there all the same."""
    watch = RestartWatch(FLAGS, frozenset(), frozenset(), 1, LIMIT, 0, exactly=False)
    watch.observe(Seen(0, {NEW: flags}, 200))

    assert verdict == watch.observe(Seen(1 if flags else 0.5, {NEW: flags}, 200))


def test_hostile_flags_are_escaped() -> None:
    """A process chooses its command line."""
    flags = server_flags(b"kube-apiserver\0--audit-log-path=\x1b[31m\xff\0--audit-\xe2\x80\xae=\n\0")
    watch = RestartWatch(FLAGS, frozenset(), frozenset(), 0, LIMIT, 0)
    watch.observe(Seen(0, {NEW: flags}, 200))
    watch.observe(Seen(0, {NEW: flags}, 200))

    assert watch.why.isprintable()
    assert "\\x1b[31m" in watch.why


def test_flags_are_read_as_the_server_reads_them() -> None:
    """The program's own name is none, the last of several counts, others than auditing's are left out."""
    cmdline = b"kube-apiserver\0--v=2\0--audit_log_maxage\x007\0--audit-log-maxage=8\0--audit-log-compress\0"

    assert {"audit-log-maxage": "8", "audit-log-compress": "true"} == server_flags(cmdline)


def test_processes_are_read() -> None:
    """Padded columns, one-digit days, blank lines."""
    text = "   812 Sat Nov 21 04:30:00 2026\n1048576 Tue Dec  1 23:59:59 2026  \n\n"

    assert [Process(812, "2026-11-21T04:30:00Z"), Process(1048576, "2026-12-01T23:59:59Z")] == parse_processes(text)


def test_no_process_is_no_line() -> None:
    """What ps prints when there is none."""
    assert [] == parse_processes("")


strange = {
    "another-language": "812 Sa 21 Nov 04:30:00 2026",
    "unknown-month": "812 Sat Nvo 21 04:30:00 2026",
    "error": "error: unknown user-defined format specifier",
    "hostile": "812 Sat Nov 21 04:30:00 2026 \x1b[31m",
}


@pytest.mark.parametrize("line", strange.values(), ids=strange)
def test_strange_output_is_refused(line: str) -> None:
    """Anything else is shown, escaped."""
    with pytest.raises(ValueError, match="not a process and when it started") as caught:
        parse_processes(line)

    assert str(caught.value).isprintable()


CRI = "2026-11-21T04:30:00.123456789Z stderr F "
FATAL = 'E1121 04:30:00.1 1 run.go:72] "command failed" err="loading audit policy: no such file"'
words = {
    "cri-prefix-goes": (CRI + FATAL, "", [FATAL]),
    "cri-line-in-parts": (f"{CRI.replace(' F ', ' P ')}{FATAL}", "", [FATAL]),
    "telling-lines-before-others": (f"{CRI}I1121 hello\n{CRI}{FATAL}\n{CRI}I1121 bye\n", "", [FATAL]),
    "else-whatever-was-last": ("a\nb\nc\nd\ne\n\n", "", ["b", "c", "d", "e"]),
    "panic": ("panic: x\ngoroutine 1\n", "", ["panic: x"]),
    "usage-error": ("Error: unknown flag: --audit-foo\nUsage:\n", "", ["Error: unknown flag: --audit-foo"]),
    "repeated-line-counts-where-it-was-last": (
        "".join(f"{line}: error\n" for line in "abcdeba"),
        "",
        [f"{line}: error" for line in "deba"],
    ),
    "kubelet-only-without-a-container": (
        "\n",
        'E1121 pod="kube-system/kube-apiserver-m1" err="x"\nE1121 pod="etcd" err="y"\nI1121 kube-apiserver fine\n',
        ['E1121 pod="kube-system/kube-apiserver-m1" err="x"'],
    ),
    "kubelet-of-a-mount": (
        "",
        'E1121 Operation for "x-kube-apiserver-m1" failed (retry 1s). Error: MountVolume failed : no dir\n'
        'E1121 "Unable to write event" err="refused" event="kube-apiserver-m1 MountVolume failed"\n',
        ["MountVolume failed : no dir"],
    ),
    "container-before-kubelet": ("a\n", "E1121 kube-apiserver err=x\n", ["a"]),
    "nobody-said-anything": ("", "", []),
}


@pytest.mark.parametrize(("container", "kubelet", "expected"), words.values(), ids=words)
def test_last_words(container: str, kubelet: str, expected: list[str]) -> None:
    """The lines that tell why, else the last ones, else the kubelet's."""
    assert expected == last_words(container, kubelet)


def test_hostile_last_words_are_single_lines() -> None:
    """Line breaks of any kind end a line; what else is in it is escaped where it is shown."""
    lines = last_words("E1121 a\u2028E1121 b\x85E1121 c\rE1121 \x1b[31m\udcff", "")

    assert ["E1121 a", "E1121 b", "E1121 c", "E1121 \x1b[31m\udcff"] == lines


def escalated(*looks: Look, kubelet_runs: bool = True) -> tuple[str, list[tuple[float, str]], str]:
    """How it ended where a kubelet that missed the manifest is helped on, which steps that took, and why it failed."""
    watch = RestartWatch(FLAGS, frozenset([OLD.pid]), frozenset(["0.log"]), SETTLE, LIMIT, began=0, escalate=True)
    steps = []
    verdict = WAITING
    for look in looks:
        processes = {**dict.fromkeys(look.old, OTHER), **dict.fromkeys(look.right, FLAGS)}
        processes |= dict.fromkeys(look.wrong, OTHER)
        logs = frozenset(["0.log", *(f"new-{number}.log" for number in range(look.logs))])
        verdict = watch.observe(Seen(look.at, processes, look.status, logs))
        if verdict == MISSED:
            steps.append((look.at, watch.next_step(kubelet_runs, look.at)))
        elif verdict != WAITING:
            break
    return verdict, steps, watch.why


def serving(since: float, until: float) -> list[Look]:
    """The old server as if nothing had happened."""
    return [Look(since + step, status=200, old=(OLD,)) for step in range(int(until - since) + 1)]


def nothing(since: float, until: float, logs: int = 0) -> list[Look]:
    """No server at all."""
    return [Look(since + step, logs=logs) for step in range(int(until - since) + 1)]


missed = {
    "seen-at-the-rescan": ([*serving(0, 24), *nothing(25, 35), *steady(36, 80)], True, (PROVEN, [])),
    "stopped-and-started-anew": (
        [*serving(0, 25), *nothing(26, 40), *steady(41, 80)],
        True,
        (PROVEN, [(25, STOP)]),
    ),
    "a-stop-is-not-enough": (
        [*serving(0, 25), *nothing(26, 60), *steady(61, 100)],
        True,
        (PROVEN, [(25, STOP), (50, RESTART)]),
    ),
    "the-old-manifest-is-started-once-more": (
        [
            *serving(0, 25),
            *nothing(26, 40),
            Look(41, wrong=(LATER,), status=200),
            *[Look(42 + step, wrong=(LATER,), status=200) for step in range(9)],
            *nothing(51, 60),
            *steady(61, 100),
        ],
        True,
        (PROVEN, [(25, STOP), (50, RESTART)]),
    ),
    "without-a-kubelet-nothing-is-stopped": (
        [*serving(0, 30), *nothing(31, 40), *steady(41, 80)],
        False,
        (PROVEN, [(25, RESTART)]),
    ),
    "an-old-one-that-ends-slowly-is-no-miss": (
        [*serving(0, 3), *[Look(4 + step, status=500, old=(OLD,)) for step in range(40)], *steady(45, 80)],
        True,
        (PROVEN, []),
    ),
    "a-new-one-that-is-not-ready-is-no-miss": (
        [*[Look(step, (NEW,), 500) for step in range(60)], *steady(60, 100)],
        True,
        (PROVEN, []),
    ),
    "a-new-one-that-crashes-is-no-miss": (
        [*serving(0, 25), *nothing(26, 40), Look(41, (NEW,), logs=1), *nothing(42, 49, logs=1), *nothing(50, 60, 2)],
        True,
        (FAILED, [(25, STOP)]),
    ),
    "nothing-helps": ([*serving(0, 160)], False, (FAILED, [(25, RESTART)])),
}


@pytest.mark.parametrize(("looks", "kubelet_runs", "expected"), missed.values(), ids=missed)
def test_kubelet_that_missed_the_manifest_is_helped_on(
    looks: list[Look], kubelet_runs: bool, expected: tuple[str, list[tuple[float, str]]]
) -> None:
    """Step by step, and never where the kubelet has acted."""
    verdict, steps, _ = escalated(*looks, kubelet_runs=kubelet_runs)

    assert expected == (verdict, steps)


def test_last_step_has_its_time() -> None:
    """Where the limit is short, the server that a restarted kubelet starts may still get ready."""
    watch = RestartWatch(FLAGS, frozenset([OLD.pid]), frozenset(), SETTLE, 30, began=0, escalate=True)

    assert MISSED == watch.observe(Seen(26, {OLD: OTHER}, 200))
    assert RESTART == watch.next_step(kubelet_runs=False, at=26)
    assert WAITING == watch.observe(Seen(85, {}, 0))
    assert FAILED == watch.observe(Seen(87, {}, 0))
    assert "after 30 s no API server runs" == watch.why


def test_nobody_is_helped_unasked() -> None:
    """While what was before is put back, the kubelet is left alone."""
    assert (FAILED, 101, "after 100 s the old API server still runs: the kubelet has not taken the manifest up") == end(
        *serving(0, 120)
    )
