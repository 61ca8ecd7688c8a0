"""Which engine is taken, and what a user is told about it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from kaudit_core.events.segments import Segment, find_segments
from kaudit_core.matcher import engine as engines
from kaudit_core.matcher.engine import EngineError, Options, available, select
from tests.engines import EngineUnderTest, log_of, policy_of
from tests.verification.events import pod_event

POLICY = "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata}]\n"
needs_native = pytest.mark.skipif(
    "native" not in available(), reason="the extension was not built: needs a C++ compiler"
)


def kaudit(*arguments: str, without_native: bool = False, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command, if asked for as where the extension is missing."""
    begin = "import sys; sys.modules['kaudit_core.matcher._native'] = None; " if without_native else "import sys; "
    code = begin + "from kaudit_core.cli.main import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, *arguments]
    given = {name: value for name, value in os.environ.items() if name != "KAUDIT_ENGINE"} | environment
    return subprocess.run(command, capture_output=True, text=True, env=given, check=False, timeout=60)


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """A policy and a log that agrees with it, as verify's arguments."""
    (tmp_path / "policy.yaml").write_text(POLICY)
    (tmp_path / "audit.log").write_bytes(log_of(pod_event()))
    return ["verify", "--policy", str(tmp_path / "policy.yaml"), str(tmp_path / "audit.log")]


@needs_native
def test_native_is_the_default() -> None:
    """The best engine comes first, and is taken when nobody names one."""
    assert ("native", "reference") == available()
    assert "native" == select().name


def test_variable_names_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """KAUDIT_ENGINE is followed, and refused where it names none."""
    monkeypatch.setenv("KAUDIT_ENGINE", "reference")
    assert "reference" == select().name
    monkeypatch.setenv("KAUDIT_ENGINE", "fast")
    with pytest.raises(EngineError, match="fast"):
        select()


def test_missing_extension_is_said_once(files: list[str]) -> None:
    """Without the extension the reference engine works, and one line on standard error says so."""
    done = kaudit(*files, without_native=True)

    assert (0, 1) == (done.returncode, done.stderr.count("native engine was not built"))
    assert 1 == len(done.stderr.splitlines())


def test_reference_by_name_is_no_news(files: list[str]) -> None:
    """Who asks for the reference engine is not told that it is slow."""
    done = kaudit(*files, without_native=True, KAUDIT_ENGINE="reference")

    assert (0, "") == (done.returncode, done.stderr)


def test_native_by_name_is_never_silently_another(files: list[str]) -> None:
    """An explicit request that can't be met is an error."""
    done = kaudit(*files, without_native=True, KAUDIT_ENGINE="native")

    assert 2 == done.returncode
    assert "engine 'native' can't be loaded" in done.stderr


def test_version_names_the_engines() -> None:
    """`kaudit version` says what this installation has."""
    assert f"engines: {', '.join(available())}" in kaudit("version").stdout
    assert "engines: reference\n" in kaudit("version", without_native=True).stdout


def test_threads_are_an_option_of_the_command(files: list[str]) -> None:
    """--threads takes one or more."""
    assert 0 == kaudit(*files, "--threads", "3").returncode
    assert 2 == kaudit(*files, "--threads", "0").returncode


def test_join_is_the_same_in_every_engine(engine: EngineUnderTest) -> None:
    """Comparing the stages of a request is the reference engine's work, whichever is chosen."""
    log = log_of(pod_event(stage="RequestReceived"), pod_event(verb="delete"))
    summary = engine.verify(policy_of(POLICY), log, join=True)

    assert 1 == summary.findings["stages-disagree"]


@needs_native
def test_ctrl_c_while_threads_start_ends_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No thread may be in compiled code when Python ends: it aborts there."""
    os.mkfifo(tmp_path / "audit.log")
    pipe = os.open(tmp_path / "audit.log", os.O_RDWR)  # nobody ends it, as nobody ends a terminal
    started: list[threading.Thread] = []
    start = threading.Thread.start

    def interrupted(thread: threading.Thread) -> None:
        if threading.current_thread() is threading.main_thread():
            if started:
                os.write(pipe, log_of(pod_event()))
                raise KeyboardInterrupt
            started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    log = Segment(str(tmp_path / "audit.log"), False, False)
    with pytest.raises(KeyboardInterrupt):
        select("native").verify(policy_of(POLICY), [log], Options(threads=2))

    started[0].join(20)
    os.close(pipe)
    assert not started[0].is_alive()


@needs_native
def test_a_growing_file_is_read_to_some_newline(tmp_path: Path) -> None:
    """While a log grows, every record is counted once and the rest is its tail."""
    path, line = tmp_path / "audit.log", log_of(pod_event())
    path.write_bytes(line * 2_000)
    stop = threading.Event()

    def grow() -> None:
        with path.open("ab") as file:
            for _ in range(5_000):
                if stop.is_set():
                    break
                file.write(line[:100])
                file.flush()
                file.write(line[100:])

    writer = threading.Thread(target=grow)
    writer.start()
    try:
        for _ in range(10):
            summary = select("native").verify(policy_of(POLICY), [Segment(str(path), False, True)], Options(threads=2))
            (segment,) = summary.segments.values()

            assert {"agrees": summary.events} == dict(summary.outcomes)
            assert (summary.events * len(line), summary.events) == (segment.bytes, segment.events)
            assert segment.tail is None or segment.tail[0] == segment.bytes
    finally:
        stop.set()
        writer.join()


def rotating(path: Path, fresh: bytes) -> tuple[Options, list[str]]:
    """Options under which the log is rotated as soon as something of it was read; and what was done."""
    done: list[str] = []

    def rotate(_: str, size: int) -> None:
        if not done:
            done.append(f"rotated behind {size} bytes")
            path.rename(path.with_name("audit-2026-01-01T00-00-00.000.log"))
            path.write_bytes(fresh)

    return Options(threads=1, progress=rotate), done


@pytest.mark.parametrize("name", available())
def test_a_file_rotated_while_it_is_read_is_read_to_its_end(name: str, tmp_path: Path) -> None:
    """The renamed file stays the one that is read; its successor is not, and nothing counts twice."""
    path, line = tmp_path / "audit.log", log_of(pod_event())
    odd = log_of(pod_event(level="Request"))  # an odd record, so that the engine looks up early
    path.write_bytes(odd + line * 5_000)
    options, done = rotating(path, log_of(pod_event(verb="delete")) * 7)
    summary = select(name).verify(policy_of(POLICY), [Segment(str(path), False, True)], options)

    assert 1 == len(done)
    assert {"level-above": 1, "agrees": 5_000} == dict(summary.outcomes)
    assert [] == summary.unreadable


@pytest.mark.parametrize("name", available())
def test_a_directory_rotated_while_it_is_read_is_said_to_be(name: str, tmp_path: Path) -> None:
    """A file whose name another one has before its turn is not read, and the user told to start again."""
    path, line = tmp_path / "audit.log", log_of(pod_event())
    older = tmp_path / "audit-2025-01-01T00-00-00.000.log"
    older.write_bytes(log_of(pod_event(level="Request")) + line * 5_000)
    path.write_bytes(line * 10)
    options, done = rotating(path, line * 3)
    segments, errors, _ = find_segments([str(tmp_path)])
    summary = select(name).verify(policy_of(POLICY), segments, options)

    assert ([], 1) == (errors, len(done))
    assert (5_001, 3) == (summary.events, summary.exit_code())
    assert [f"{path}: another file by now; the log was rotated, so start again"] == [
        segment.error for segment in summary.unreadable
    ]


@pytest.mark.parametrize("name", available())
def test_a_file_truncated_while_it_is_read_just_ends(name: str, tmp_path: Path) -> None:
    """copytruncate takes the file away: what was read is judged, nothing counts twice, and the user is told."""
    path, line = tmp_path / "audit.log", log_of(pod_event())
    cut: list[int] = []

    def truncate(_: str, size: int) -> None:
        if not cut:
            cut.append(size)
            os.truncate(path, 1_000)

    options = Options(threads=1, progress=truncate)
    small = log_of(pod_event(level="Request"))  # an odd record, so that the engine looks up early
    path.write_bytes(small + line * 20_000)
    summary = select(name).verify(policy_of(POLICY), [Segment(str(path), False, True)], options)

    assert cut
    assert summary.events < 20_000
    assert [f"{path}: became shorter while it was read; verify a copy of the log"] == [
        segment.error for segment in summary.unreadable
    ]


def peak(*arguments: str, folder: Path) -> int:
    """The most memory, in kB, that verifying a folder's log takes."""
    code = (
        "import sys\nfrom kaudit_core.cli.main import main\nmain(sys.argv[1:])\n"
        # Not ru_maxrss: that is at least what the process had that started this one.
        "print(open('/proc/self/status').read().partition('VmHWM:')[2].split()[0])"
    )
    files = ["--policy", str(folder / "policy.yaml"), str(folder / "audit.log")]
    command = [sys.executable, "-c", code, "verify", *arguments, *files]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    return int(done.stdout.splitlines()[-1])


@needs_native
def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """A log of 200 MB is verified in far less than 150 MB."""
    path, line = tmp_path / "audit.log", log_of(pod_event(userAgent="x" * 3_000))
    with path.open("wb") as file:
        for _ in range(200):
            file.write(line * (1_000_000 // len(line)))
    (tmp_path / "policy.yaml").write_text(POLICY)
    found = peak(folder=tmp_path)
    path.unlink()

    assert found < 150_000


@needs_native
@pytest.mark.parametrize(("fields", "bound"), [({}, 100), ({"foo": 1}, 160)], ids=["plain", "odd"])
def test_memory_is_bounded_by_the_longest_line(fields: dict[str, int], bound: int, tmp_path: Path) -> None:
    """Two threads with lines of 8 MiB each, the longest allowed: some of these lines fit, more of them do not."""
    line = log_of(pod_event(userAgent="x" * (8 * 2**20 - 1_000), **fields))
    (tmp_path / "audit.log").write_bytes(line * 4 + b"x" * 2**26 + b"\n")
    (tmp_path / "policy.yaml").write_text(POLICY)

    assert peak("--threads", "2", "--max-line-bytes", str(2**23), folder=tmp_path) < bound * 1_000


def test_options_have_the_defaults_of_the_command() -> None:
    """No threads are asked for by default: as many as there are processors are taken."""
    assert (10, 0, False) == (engines.Options().examples, engines.Options().threads, engines.Options().join)
