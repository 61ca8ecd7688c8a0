"""Cut real audit logs down to the excerpts under ``real/``.

    python tests/corpus/reduce.py SOURCE

SOURCE holds one folder per log (ack, everything, ...) with policy.yaml, the log, and where known oracle.jsonl and
ledger.jsonl. Every line is described by *traits*: its stage, verb, deciding rule, kind of request, shape of URI, body,
audit ID and so on. Lines are kept, shortest first, until each trait is there ``COPIES`` times or as often as it occurs;
lines that became redundant go again, and the shortest remaining ones fill up to the wanted number. The order stays.

Kept lines are byte for byte what the API server wrote, with two exceptions, both named in README.md beside this file:
tokens become ``eyJFAKE-TOKEN-...`` of the same length, and a filler body longer than ``FILLER_LIMIT`` is shortened.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

COPIES = 1
"""How many lines of each trait are enough."""
FILLER = b"0123456789abcdef"
FILLER_LIMIT = 128 * 1024
"""One line stays longer than any read buffer; the 1.6 MB of the original add nothing."""
WANTED = {
    "ack": 400,
    "everything": 400,
    "truncate-batch": 300,
    "webhook": 120,
    "legacy": 80,
    "disk-full": 60,
}
TRAITS = {
    "truncate-batch": ("rule", "kind", "keys", "annotation", "verb", "id", "filled-in", "out-of-order"),
    "disk-full": ("torn", "out-of-order", "keys", "verb"),
}
"""Folders where only these traits count: ``everything`` was written by the same load and has the others."""
LONGEST = {"webhook": 20_000}
"""Folders whose longest lines are left out: one long line is enough, and ``everything`` has it."""

TOKEN = re.compile(rb"eyJ([\w-]+)\.(?:(?:eyJ)?([\w-]+)\.([\w-]+))?")
LEGACY_FIELD = re.compile(rb'(\w[\w-]*)="((?:[^"\\]|\\.)*)"')
LEGACY_TRAITS = ("stage", "method", "user", "as", "response")
NUMBERS = re.compile(r"\d+")
FIRST_LEVEL = ("/api/", "/apis/")


def fake_tokens(line: bytes) -> bytes:
    """Replace every JWT (also one cut off after its header) by a fake of the same shape and length."""

    def fake(part: bytes | None, prefix: bytes) -> bytes:
        return b"" if part is None else prefix + (b"FAKE-TOKEN-" * (len(part) // 11 + 1))[: len(part)]

    def replace(match: re.Match[bytes]) -> bytes:
        header, payload, signature = match.groups()
        if payload is None:
            return fake(header, b"eyJ") + b"."
        inner = b"eyJ" if match[0].count(b".eyJ") else b""
        return fake(header, b"eyJ") + b"." + fake(payload, inner) + b"." + fake(signature, b"")

    return TOKEN.sub(replace, line)


def shorten_filler(line: bytes) -> bytes:
    """Cut the generated filler of an oversized body down to FILLER_LIMIT."""
    first, last = line.find(FILLER), line.rfind(FILLER)
    if last - first <= FILLER_LIMIT:
        return line
    return line[:first] + FILLER * (FILLER_LIMIT // len(FILLER)) + line[last + len(FILLER) :]


def shape(text: str) -> str:
    """Numbers collapsed, so that user-17 and user-3 are one trait."""
    return NUMBERS.sub("N", text)


def uri_traits(uri: str, kind: str) -> Iterator[str]:
    """What is unusual about a request URI; the URI itself for kinds made of odd ones."""
    path, _, query = uri.partition("?")
    if kind in ("oddpath", "rawline", "nonresource") or not path.startswith(FIRST_LEVEL):
        yield f"uri:{shape(path)}"
    for name in ("%", "//", "\ufffd", ";", "@", "+", "\\", ".."):
        if name in path:
            yield f"path-has:{name}"
        if name in query:
            yield f"query-has:{name}"
    for parameter in query.split("&") if query else ():
        yield f"parameter:{shape(parameter.partition('=')[0])}"
    if not uri.isascii():
        yield "uri-not-ascii"


def identity_traits(event: dict[str, Any], copies: int) -> Iterator[str]:
    """User, impersonation and audit ID."""
    user = event.get("user") or {}
    yield f"user:{shape(user.get('username', '<none>'))}"
    if "impersonatedUser" in event:
        yield "impersonated"
    audit_id = event["auditID"]
    yield f"id-length:{len(audit_id).bit_length()}"
    if not re.fullmatch(r"[\w-]+", audit_id):
        yield f"id:{shape(audit_id)[:40]}"
    if copies > 1:
        yield "id-and-stage-repeated"


def body_traits(event: dict[str, Any]) -> Iterator[str]:
    """Bodies, managed fields, truncation and what was filled in after the decision."""
    for key in ("requestObject", "responseObject"):
        body = event.get(key)
        if body is None:
            continue
        kind = body.get("kind", "?") if isinstance(body, dict) else type(body).__name__
        yield f"{key}:{kind}"
        if "managedFields" in json.dumps(body):
            yield f"{key}:managedFields:{event['verb']}"
    for name in event.get("annotations", {}):
        yield f"annotation:{shape(name)}"
    reference = event.get("objectRef", {})
    for key in ("name", "namespace", "uid", "resourceVersion"):
        if key in reference and reference[key] not in event["requestURI"]:
            yield f"filled-in:{key}:{event['verb']}"


def event_traits(event: dict[str, Any], kind: str, oracle: dict[str, Any], copies: int) -> Iterator[str]:
    """All traits of one event."""
    reference = event.get("objectRef", {})
    resource = f"{reference.get('apiGroup', '')}/{reference.get('resource')}/{reference.get('subresource', '')}"
    stage, verb = event["stage"], event["verb"]
    code = event.get("responseStatus", {}).get("code")
    yield f"rule:{oracle.get('rule', oracle.get('error'))}:{stage}"
    yield f"rule-verb:{oracle.get('rule')}:{verb}"
    yield f"kind:{kind}:{stage}"
    yield f"keys:{','.join(sorted(event))}"
    yield f"verb-code:{verb}:{code}"
    yield f"resource:{resource}"
    yield f"agent:{shape(event.get('userAgent', '<none>'))[-20:]}"
    yield from identity_traits(event, copies)
    yield from uri_traits(event["requestURI"], kind)
    yield from body_traits(event)


def json_lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a JSON lines file; none if there is no such file."""
    return [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []


def log_traits(folder: Path, lines: list[bytes]) -> Iterator[set[str]]:
    """The traits of every line of a log."""
    oracle = json_lines(folder / "oracle.jsonl") or [{}] * len(lines)
    kinds = {entry["id"]: entry["kind"] for entry in json_lines(folder / "ledger.jsonl")}
    copies: Counter[tuple[str, str]] = Counter()
    previous = ""
    for line, answer in zip(lines, oracle, strict=True):
        if b" AUDIT: " in line:
            fields = {key.decode(): value.decode() for key, value in LEGACY_FIELD.findall(line)}
            yield {f"{key}:{shape(fields[key])}" for key in LEGACY_TRAITS if key in fields}
            continue
        try:
            event = json.loads(line)
        except ValueError:
            yield {"torn"}
            continue
        copies[event["auditID"], event["stage"]] += 1
        kind = kinds.get(event["auditID"], event.get("userAgent", "").rpartition(" ")[2])
        traits = set(event_traits(event, kind, answer, copies[event["auditID"], event["stage"]]))
        if event["stageTimestamp"] < previous:
            traits.add("out-of-order")
        previous = event["stageTimestamp"]
        if len(line) > FILLER_LIMIT:
            traits.add("long")
        yield traits


def choose(lines: list[bytes], traits: list[set[str]], wanted: int) -> list[int]:
    """Indexes to keep: shortest first until every trait has COPIES lines, then the shortest of the rest."""
    have: Counter[str] = Counter()
    kept: set[int] = set()
    by_length = sorted(range(len(lines)), key=lambda index: (len(lines[index]), index))
    for index in by_length:
        if any(have[trait] < COPIES for trait in traits[index]):
            kept.add(index)
            have.update(traits[index])
    for index in sorted(kept, reverse=True, key=lambda index: len(lines[index])):
        if all(have[trait] > COPIES for trait in traits[index]):
            kept.remove(index)
            have.subtract(traits[index])
    for index in [index for index in kept if traits[index] & {"out-of-order", "torn"}]:
        kept.update({max(index - 1, 0), min(index + 1, len(lines) - 1)})
    for index in by_length:
        if len(kept) >= wanted:
            break
        kept.add(index)
    return sorted(kept)


def with_first_copies(lines: list[bytes], kept: list[int]) -> list[int]:
    """Add the first copy of every event that is kept only as a later duplicate."""
    first: dict[bytes, int] = {}
    for index, line in enumerate(lines):
        first.setdefault(line, index)
    return sorted({*kept, *(first[lines[index]] for index in kept)})


def reduce_folder(source: Path, target: Path, wanted: int) -> str:
    """Write the excerpt of one folder; returns a line for people."""
    name = "received.log" if (source / "received.log").exists() else "audit.log"
    lines = (source / name).read_bytes().split(b"\n")[:-1]
    traits = list(log_traits(source, lines))
    counted = TRAITS.get(source.name, ("",))
    traits = [{trait for trait in line if trait.startswith(counted)} for line in traits]
    limit = LONGEST.get(source.name, sys.maxsize)
    usable = [index for index, line in enumerate(lines) if len(line) <= limit]
    chosen = choose([lines[index] for index in usable], [traits[index] for index in usable], wanted)
    kept = with_first_copies(lines, [usable[index] for index in chosen])
    target.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source / "policy.yaml", target / "policy.yaml")
    (target / name).write_bytes(b"".join(shorten_filler(fake_tokens(lines[index])) + b"\n" for index in kept))
    if (source / "oracle.jsonl").exists():
        answers = (source / "oracle.jsonl").read_bytes().splitlines(keepends=True)
        (target / "oracle.jsonl").write_bytes(b"".join(answers[index] for index in kept))
    size = sum(path.stat().st_size for path in target.iterdir())
    missing = set().union(*traits) - set().union(*(traits[index] for index in kept))
    return f"{source.name}: {len(kept)} of {len(lines)} lines, {size:,} bytes, traits left out: {len(missing)}"


def main(arguments: list[str]) -> int:
    """Reduce every folder named in WANTED."""
    if len(arguments) != 1:
        print("usage: reduce.py SOURCE", file=sys.stderr)
        return 2
    real = Path(__file__).parent / "real"
    for name, wanted in WANTED.items():
        print(reduce_folder(Path(arguments[0]) / name, real / name, wanted))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
