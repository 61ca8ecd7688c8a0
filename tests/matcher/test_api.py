"""kaudit_core.matcher.Matcher: what other programs build on."""

from __future__ import annotations

import doctest
import gzip
from pathlib import Path

import pytest

from kaudit_core.matcher import Matcher, PolicyRefused, api
from kaudit_core.matcher.engine import EngineError
from kaudit_core.policy.types import Attributes
from tests.engines import EngineUnderTest, log_of
from tests.verification.events import pod_event

POLICY = b"apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata, users: [alice]}, {level: None}]\n"


def test_examples_in_the_documentation_hold() -> None:
    """The module's documentation is run as it stands."""
    assert (0, 10) == tuple(doctest.testmod(api))


def test_evaluate_names_rule_and_level(engine: EngineUnderTest) -> None:
    """The first rule that matches decides; without a user none that names users can."""
    matcher = Matcher(POLICY, engine=engine.name)

    assert [0, 1, 1] == [matcher.evaluate(Attributes(user=user)).rule for user in ("alice", "bob", None)]
    assert "None" == matcher.evaluate(Attributes()).level


def test_policy_is_taken_in_every_form(tmp_path: Path) -> None:
    """Bytes, a path as text or Path, and a Policy that was read before."""
    path = tmp_path / "policy.yaml"
    path.write_bytes(POLICY)
    policies = [Matcher(source).policy for source in (POLICY, str(path), path, Matcher(POLICY).policy)]

    assert [policies[0]] * 4 == policies


def test_refused_policy_raises_with_the_reason() -> None:
    """What the server refuses is refused."""
    with pytest.raises(PolicyRefused, match="rules"):
        Matcher(b"apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: []\n")


def test_engine_that_is_not_there_is_an_error() -> None:
    """No other engine is taken in its place."""
    with pytest.raises(EngineError, match="imaginary"):
        Matcher(POLICY, engine="imaginary")


def test_verify_takes_bytes_and_paths_together(engine: EngineUnderTest, tmp_path: Path) -> None:
    """Segments are in the order of the arguments; bytes may be compressed, and are complete."""
    path = tmp_path / "audit.log"
    path.write_bytes(log_of(pod_event()))
    matcher = Matcher(POLICY, engine=engine.name)
    summary = matcher.verify(gzip.compress(log_of(pod_event(), pod_event())), path, b'{"torn":', str(tmp_path / "none"))

    assert {"agrees": 3, "malformed": 1} == dict(summary.outcomes)
    assert ["bytes 0", str(path), "bytes 2", str(tmp_path / "none")] == list(summary.segments)
    assert [str(tmp_path / "none")] == [segment.path for segment in summary.unreadable]
    assert 1 == len(summary.policies)


def test_half_a_pair_is_a_name_like_any_other(engine: EngineUnderTest) -> None:
    """Text that no request can hold does not upset the compiled policy."""
    assert 1 == Matcher(POLICY, engine=engine.name).evaluate(Attributes(user="\ud800")).rule
