"""What every test shares: Hypothesis profiles, and skips that are loud (and fail the run where CI=true)."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import settings

from tests.engines import ENGINES, EngineUnderTest

settings.register_profile("default", deadline=None, derandomize=False, print_blob=True)
settings.register_profile("full", settings.get_profile("default"), max_examples=2_000)
settings.load_profile("full" if os.environ.get("KAUDIT_FULL", "0") not in ("", "0") else "default")

SKIPPED = pytest.StashKey[dict[str, str]]()
SENT = "kaudit_skipped"


def in_ci() -> bool:
    """Whether skipping is forbidden."""
    return os.environ.get("CI", "").lower() in ("1", "true")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[SKIPPED] = {}


class Skips:
    """Collects every skip with its reason: of a test, and of a whole file when it is collected."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config

    def note(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail"):
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
            self.config.stash[SKIPPED][report.nodeid] = reason.removeprefix("Skipped: ")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.note(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self.note(report)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        skipped = self.config.stash[SKIPPED]
        output: dict[str, Any] | None = getattr(self.config, "workeroutput", None)
        if output is not None:
            # xdist's workers don't report a file that is skipped as a whole: send it along when they end.
            output[SENT] = skipped
        elif skipped and in_ci() and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        self.config.stash[SKIPPED].update(getattr(node, "workeroutput", {}).get(SENT, {}))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        skipped = self.config.stash[SKIPPED]
        if not skipped:
            return
        terminalreporter.section("NOT TESTED" + (": a failure, because CI=true" if in_ci() else ""), red=True)
        for name, reason in sorted(skipped.items()):
            terminalreporter.line(f"{name}: {reason}", red=True)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    session.config.pluginmanager.register(Skips(session.config), "kaudit-skips")


@pytest.fixture(params=ENGINES, ids=lambda engine: engine.name)
def engine(request: pytest.FixtureRequest) -> EngineUnderTest:
    """Each engine of this installation in turn."""
    chosen: EngineUnderTest = request.param
    return chosen
