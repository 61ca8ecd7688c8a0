"""Other ways to do the job, or part of it, one process each: python bench/peers.py NAME POLICY LOG."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from kaudit_core.events.attributes import attributes_for_verb
from kaudit_core.events.uri import UnparsableURI
from kaudit_core.policy.evaluator import Evaluator
from kaudit_core.policy.reader import read_policy

NAMES = ("json", "orjson", "msgspec", "duckdb", "polars")


def decide(decode: Callable[[bytes], tuple[str, str, str, tuple[str, ...]]], policy: str, log: str) -> Counter[Any]:
    """Decode every line and find its rule with the readable evaluator: the job, without any check of the event."""
    read = read_policy(Path(policy).read_bytes(), policy).policy
    assert read is not None
    evaluator, rules = Evaluator(read), Counter[Any]()
    with open(log, "rb") as file:
        for line in file:
            verb, uri, user, groups = decode(line)
            with suppress(UnparsableURI):
                for judged in attributes_for_verb(verb, uri, user, groups)[:1]:
                    rules[evaluator.evaluate(judged).rule] += 1
    return rules


def with_dicts(loads: Callable[[bytes], Any], policy: str, log: str) -> Counter[Any]:
    """Any decoder that makes dictionaries."""

    def decode(line: bytes) -> tuple[str, str, str, tuple[str, ...]]:
        event = loads(line)
        return (
            event["verb"],
            event["requestURI"],
            event["user"].get("username", ""),
            tuple(event["user"].get("groups", ())),
        )

    return decide(decode, policy, log)


def with_msgspec(policy: str, log: str) -> Counter[Any]:
    """A decoder that only makes the fields that are declared."""
    import msgspec

    user = msgspec.defstruct("User", [("username", str, ""), ("groups", list[str], [])])
    event = msgspec.defstruct("Event", [("verb", str), ("requestURI", str), ("user", user)])
    decoder = msgspec.json.Decoder(event)

    def decode(line: bytes) -> tuple[str, str, str, tuple[str, ...]]:
        one: Any = decoder.decode(line)
        return one.verb, one.requestURI, one.user.username, tuple(one.user.groups)

    return decide(decode, policy, log)


def with_duckdb(log: str) -> Any:
    """Counting by four columns; no policy."""
    import duckdb

    connection: Any = duckdb.connect(config={"threads": 1})
    columns = "{level: 'VARCHAR', verb: 'VARCHAR', stage: 'VARCHAR', requestURI: 'VARCHAR'}"
    source = f"read_json('{log}', format = 'newline_delimited', columns = {columns}, maximum_object_size = 67108864)"
    return connection.sql(f"SELECT level, verb, stage, count(*), max(requestURI) FROM {source} GROUP BY ALL").fetchall()


def with_polars(log: str) -> Any:
    """Counting by four columns; no policy."""
    import polars

    columns = {name: polars.String for name in ("level", "verb", "stage", "requestURI")}
    frame = polars.scan_ndjson(log, schema=columns)
    return frame.group_by("level", "verb", "stage").agg(polars.len(), polars.col("requestURI").max()).collect()


def inflate(log: str) -> int:
    """Only inflating, the way the native engine does: read ahead by a thread. Returns the bytes."""
    from kaudit_core.events.segments import Segment, open_segment
    from kaudit_core.matcher.read_ahead import ReadAhead

    buffer, total = memoryview(bytearray(512 * 1024)), 0
    with open_segment(Segment(log, True, True)) as stream:
        ahead = ReadAhead(stream)
        while size := ahead.readinto(buffer):
            total += size
    return total


def main() -> int:
    name, policy, log = sys.argv[1:4]
    if name == "inflate":
        print(inflate(log))
    elif name == "json":
        print(with_dicts(json.loads, policy, log).total())
    elif name == "orjson":
        import orjson

        print(with_dicts(orjson.loads, policy, log).total())
    elif name == "msgspec":
        print(with_msgspec(policy, log).total())
    else:
        print(len(with_duckdb(log) if name == "duckdb" else with_polars(log)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
