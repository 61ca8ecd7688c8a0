"""The recorded decisions of corpus/vectors: policies, requests, and what upstream's evaluator said."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

from kaudit_core.events.attributes import request_attributes
from kaudit_core.events.uri import UnparsableURI
from kaudit_core.policy.evaluator import Evaluator
from kaudit_core.policy.reader import read_policy
from kaudit_core.policy.requests import attributes_of, config_json
from kaudit_core.policy.types import Attributes

REPOSITORY = Path(__file__).resolve().parents[2]
REDUCED = REPOSITORY / "tests" / "corpus" / "vectors"
SHARED = REPOSITORY.parent / "shared" / "corpus" / "vectors"


def load(folder: Path) -> tuple[dict[int, bytes], list[dict[str, Any]]]:
    """Policies by number, as bytes of their files or as lines of one, and the rows about them."""
    bundle = folder / "policies.jsonl.gz"
    if bundle.exists():
        policies = dict(enumerate(gzip.decompress(bundle.read_bytes()).splitlines()))
    else:
        policies = {int(path.stem): path.read_bytes() for path in (folder / "policies").glob("*.json")}
    rows = gzip.decompress((folder / "vectors.jsonl.gz").read_bytes()).splitlines()
    return policies, [json.loads(row) for row in rows]


def judged(request: dict[str, Any]) -> Attributes:
    """A row's request: attributes, or a method and a URI."""
    if "requestURI" not in request:
        return attributes_of(request)
    return request_attributes(
        request["method"], request["requestURI"], request.get("user"), tuple(request.get("groups") or ())
    )


def expected_answer(row: dict[str, Any]) -> dict[str, Any] | None:
    """What upstream said, in the words of the command line, or None where the URI can't be resolved.

    No rule is null on the command line and -1 in the file.
    """
    out: dict[str, Any] = row["out"]
    if "error" in out:
        return None
    return out | {"rule": None if out["rule"] == -1 else out["rule"], "omitStages": sorted(out["omitStages"])}


def our_answer(evaluator: Evaluator, row: dict[str, Any]) -> dict[str, Any] | None:
    """What we say, in the same words."""
    try:
        return config_json(evaluator.evaluate(judged(row["in"])))
    except UnparsableURI:
        return None


def differing(folder: Path) -> tuple[list[dict[str, Any]], int]:
    """The rows with another answer of ours, which is added to them, and how many rows were compared."""
    policies, rows = load(folder)
    evaluators = {}
    for number, data in policies.items():
        reading = read_policy(data, f"vector policy {number}")
        assert reading.policy is not None, reading
        evaluators[number] = Evaluator(reading.policy)
    answered = [row | {"ours": our_answer(evaluators[row["policy"]], row)} for row in rows]
    return [row for row in answered if row["ours"] != expected_answer(row)], len(answered)
