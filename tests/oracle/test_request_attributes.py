"""Requests put to upstream's own url.ParseRequestURI and RequestInfoFactory, on both pins.

The generators are seeded and weighted towards near misses: whole URIs from a vocabulary of what the rules look at,
with a few parts broken. KAUDIT_FULL=1 asks ten times as many; KAUDIT_SEED=n asks others. A failure prints what to
replay. The oracle's JSON has U+FFFD for bytes that are not UTF-8, so ours are replaced before comparing.
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from kaudit_core.events.attributes import METHOD_OF_VERB, attributes_for_verb, request_attributes
from kaudit_core.events.uri import UnparsableURI
from kaudit_core.policy.types import Attributes
from tests.events import test_attributes, test_selectors, test_uri
from tests.oracle.upstream import Oracle, encoded

SCALE = 10 if os.environ.get("KAUDIT_FULL") == "1" else 1
SEED = int(os.environ.get("KAUDIT_SEED", "1"))
BATCH = 5_000
SHOWN = 5

Request = tuple[str, bytes]
Answer = dict[str, Any] | None
"""Attributes in the oracle's words; None where there are none."""

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "get", "PROPFIND")
ALL_METHODS = (*METHODS, "CREATE", "UPDATE", "LIST", "WATCH", "DELETECOLLECTION", "PROXY", "BOGUS!")
"""Every method that gives one of VERBS on some path."""
VERBS = (*METHOD_OF_VERB, "proxy", "GET", "head", "options", "connect", "propfind", "post", "bogus!")

# Built for go 1.25, the older pin takes any number of colons in the host of an http URL, as that release did.
COLONS_IN_HOST = re.compile(rb"https?://[^/?]*:[^/?]*:", re.IGNORECASE)

ODD_SEGMENTS = (
    *(b"", b"", b".", b"..", b"%2F", b"a%2Fb", b"%zz", b"%", b"%4", b"%ff", b"\xff", b"%C5%BC", "\u017c".encode()),
    *(b" ", b"+", b"%20", b"%00", b"%7f", b"*", b"a;b", b"a:b", b"a@b", b"#", b"a=b&c", b"%3F", b"%25", b"\t", b"~"),
)
RESOURCES = (b"pods", b"nodes", b"namespaces", b"deployments", b"watch", b"proxy", b"status", b"log")
NAMES = (b"a", b"web-0", b"kube-system", b"namespaces", b"status", b"finalize", b"watch", b"proxy", b"%77atch")
STARTS = (
    *[b"/api/v1"] * 8,
    *[b"/apis/apps/v1"] * 6,
    *(b"/api", b"/apis", b"/apis/apps", b"/API/v1", b"/api//v1", b"//api/v1", b"/apis//v1", b"/%61pi/v1", b"api/v1"),
    *(b"/api/v1/watch", b"/api/v1/proxy", b"/apis/apps/v1/watch", b"/healthz", b"http://h/api/v1", b"x:/api/v1", b"x:"),
)
PLACES = (b"", b"/namespaces", b"/namespaces/n", b"/namespaces/n", b"/watch", b"/proxy", b"/watch/namespaces/n")
TAILS = (b"", b"", b"/status", b"/finalize", b"/log", b"/proxy/x/y", b"/", b"//")
NAME_SELECTORS = (b"x", b"", b".", b"..", b"a%2Fb", b"a%2525", b"a%5C,b", b"a%5Cb", b"%ff", b"%ff%5C,", b"x=y", b"x,b")
NAME_FIELDS = (b"metadata.name%3D", b"metadata.name=", b"metadata.name==", b"metadata.name!=", b"spec.x=")
INTEGER_VALUES = (
    b"1",
    b"0",
    b"-1",
    b"%2B1",
    b"+1",
    b"",
    b"abc",
    b"1_0",
    b"0x1",
    b"1.0",
    b"007",
    b"9223372036854775807",
)
INTEGER_OVERFLOWS = (b"9223372036854775808", b"-9223372036854775808", b"-9223372036854775809", b"%zz", b"1;2")
WATCH_VALUES = (
    b"true",
    b"1",
    b"0",
    b"false",
    b"FALSE",
    b"False",
    b"",
    b"bogus",
    b"00",
    b"fal%C5%BFe",
    b"%zz",
    b"0;",
    b"+0",
)
LABEL_TOKENS = (
    *(b"a", b"b", b"in", b"notin", b"example.com/a", b"A.b/c", b"-a", b"a_", b"1", b"007", b"-1", b"v" * 63, b"v" * 64),
    *(
        b"(",
        b")",
        b",",
        b",",
        b"!",
        b"%3D",
        b"%3D%3D",
        b"!%3D",
        b"%3E",
        b"%3C",
        b"+",
        b"%09",
        b"%00",
        b"%C5%BC",
        b"%ff",
    ),
)
LABEL_SKELETONS = (b"a%3Db", b"a+in+(b,c)", b"a+notin+(b)", b"!a", b"a", b"a%3E1", b"a!%3Db,c", b"a+in+(,b,,)")
HOST_PIECES = (
    *(
        b"h",
        b"h:80",
        b":",
        b"@",
        b"u",
        b"[",
        b"]",
        b"::1",
        b"1.2.3.4",
        b"%25",
        b"%41",
        b"%C5",
        b"\xff",
        b" ",
        b"_",
        b"<",
    ),
    *(b"fe80::1", b"::ffff:1.2.3.4", b"%25eth0", b"%2525", b"%20", b"%zz", b"%01", b"1:2:3:4:5:6:7:8", b"::1::", b"/"),
)


def ours(request: Request) -> Answer:
    method, uri = request
    try:
        return test_attributes.as_upstream(request_attributes(method, uri.decode(errors="surrogateescape")))
    except UnparsableURI:
        return None


def theirs(oracle: Oracle, requests: Iterable[Request]) -> list[Answer]:
    questions = ({"op": "attributes", "method": method, "uri": encoded(uri)} for method, uri in requests)
    return [answer.get("attributes") for answer in oracle.ask(questions)]


def compare(oracles: dict[str, Oracle], requests: list[Request]) -> None:
    """Assert that ours are upstream's attributes on every pin, but for the one difference between the pins."""
    judged = [ours(request) for request in requests]
    for version, oracle in oracles.items():
        differing = [
            {"request": request, "ours": expected, version: answer}
            for request, expected, answer in zip(requests, judged, theirs(oracle, requests), strict=True)
            if expected != answer and not (version == "1.35" and expected is None and COLONS_IN_HOST.match(request[1]))
        ]
        assert not differing, report(differing)


def report(differing: list[dict[str, Any]]) -> str:
    """What is needed to replay the first few."""
    return "\n".join((f"{len(differing)} differ, KAUDIT_SEED={SEED}:", *map(repr, differing[:SHOWN])))


def bytes_of(text: str) -> bytes:
    return text.encode(errors="surrogateescape")


def damaged(rng: random.Random, uri: bytes) -> bytes:
    """One byte dropped, doubled, replaced, or the rest cut off."""
    place = rng.randrange(len(uri) + 1)
    return rng.choice(
        (
            uri[:place] + uri[place + 1 :],
            uri[:place] + uri[place : place + 1] + uri[place:],
            uri[:place] + rng.choice(ODD_SEGMENTS) + uri[place + 1 :],
            uri[:place],
        )
    )


def some_label_selector(rng: random.Random) -> bytes:
    if rng.random() < 0.5:
        return damaged(rng, rng.choice(LABEL_SKELETONS)) if rng.random() < 0.5 else rng.choice(LABEL_SKELETONS)
    return b"".join(rng.choices(LABEL_TOKENS, k=rng.randrange(8)))


def some_field_selector(rng: random.Random) -> bytes:
    terms = [rng.choice(NAME_FIELDS) + rng.choice(NAME_SELECTORS) for _ in range(rng.choice((1, 1, 1, 2, 3)))]
    return b",".join(terms)


def some_parameter(rng: random.Random) -> bytes:
    name = rng.choice(
        (
            b"watch",
            b"watch",
            b"fieldSelector",
            b"fieldSelector",
            b"labelSelector",
            b"limit",
            b"timeoutSeconds",
            b"other",
        )
    )
    if name == b"other":
        odd = (
            b"",
            b"=",
            b"watch",
            b";",
            b"%zz=1",
            b"continue=x",
            b"resourceVersion=x",
            b"Watch=1",
            b"sendInitialEvents=x",
        )
        return rng.choice((*odd, b"allowWatchBookmarks=x", b"timeout=x", b"shardSelector=,", b"resourceVersionMatch=x"))
    values: dict[bytes, Callable[[], bytes]] = {
        b"watch": lambda: rng.choice(WATCH_VALUES),
        b"fieldSelector": lambda: some_field_selector(rng),
        b"labelSelector": lambda: some_label_selector(rng),
        b"limit": lambda: rng.choice(INTEGER_VALUES + INTEGER_OVERFLOWS),
        b"timeoutSeconds": lambda: rng.choice(INTEGER_VALUES + INTEGER_OVERFLOWS),
    }
    return name + b"=" + values[name]()


def some_uri(rng: random.Random) -> bytes:
    """A URI that the rules look at closely: prefix, place, resource, name, tail, query; one part in twelve is odd."""
    parts = [rng.choice(STARTS), rng.choice(PLACES)]
    if rng.random() < 0.9:
        parts.append(b"/" + rng.choice(RESOURCES))
    if rng.random() < 0.4:
        parts += [b"/" + rng.choice(NAMES), rng.choice(TAILS)]
    path = b"".join(b"/" + rng.choice(ODD_SEGMENTS) if rng.random() < 1 / 12 else part for part in parts)
    query = b"&".join(some_parameter(rng) for _ in range(rng.choice((0, 1, 1, 2, 3))))
    uri = path + (b"?" + query if query or rng.random() < 0.1 else b"")
    return damaged(rng, uri) if rng.random() < 0.1 else uri


def some_list(rng: random.Random) -> bytes:
    """A list of pods that asks for a name, and so shows whether its other options can be decoded."""
    parameters = [b"fieldSelector=metadata.name%3Dx", *(some_parameter(rng) for _ in range(rng.choice((1, 1, 2))))]
    if rng.random() < 0.3:
        rng.shuffle(parameters)
    return b"/api/v1/pods?" + b"&".join(parameters)


def some_raw_uri(rng: random.Random) -> bytes:
    """What only the URI parser cares about: absolute forms with odd authorities, and plain rubbish."""
    if rng.random() < 0.6:
        scheme = rng.choice((b"http:", b"HTTPS:", b"x+y.1:", b"1x:", b":", b"", b"mailto:"))
        authority = b"".join(rng.choices(HOST_PIECES, k=rng.randrange(6)))
        if rng.random() < 0.5:
            authority = b"[" + authority + rng.choice((b"]", b"]:1", b"]:x", b"]]", b""))
        return (
            scheme + rng.choice((b"//", b"//", b"//", b"/", b"")) + authority + rng.choice((b"", b"/a", b"?q", b"/?"))
        )
    if rng.random() < 0.5:
        return rng.randbytes(rng.randrange(1, 12))
    return bytes(rng.choices(b"/*?#%:@[]a1.;&=+ 2fF\x00\x7f\xc5\xbc\xff", k=rng.randrange(12)))


CLAIMED = [
    *((param.values[0], bytes_of(str(param.values[1]))) for param in test_attributes.CLAIMS),
    *(("GET", bytes_of(str(param.values[0]))) for param in test_attributes.REFUSED),
    *((METHOD_OF_VERB.get(str(p.values[0]), "GET"), bytes_of(str(p.values[1]))) for p in test_attributes.POSSIBLE),
    *(("GET", bytes_of(str(param.values[0]))) for param in (*test_uri.PARSED, *test_uri.QUERIES)),
    *(("GET", bytes_of(str(param.values[0]))) for param in test_uri.REFUSED if param.values[0] != "/\ud800"),
]


@pytest.mark.parametrize("version", ["1.35", "1.37"])
@pytest.mark.parametrize(("method", "uri", "expected"), test_attributes.CLAIMS)
def test_claim_holds_upstream(
    oracles: dict[str, Oracle], version: str, method: str, uri: str, expected: Attributes
) -> None:
    """Every row A2 to A6 that our tests claim is what upstream answers."""

    assert [test_attributes.as_upstream(expected)] == theirs(oracles[version], [(method, bytes_of(uri))])


@pytest.mark.parametrize("version", ["1.35", "1.37"])
@pytest.mark.parametrize("uri", test_attributes.REFUSED)
def test_refusal_holds_upstream(oracles: dict[str, Oracle], version: str, uri: str) -> None:
    """Row A6: upstream has no attributes for these either."""

    assert theirs(oracles[version], [("GET", bytes_of(uri))]) == [None]


def test_uri_claims_hold_upstream(oracles: dict[str, Oracle]) -> None:
    """Each URI and each selector in the tables of tests/events leads to upstream's attributes."""
    queries = [f"watch=1&{param.values[0]}" for param in test_uri.QUERIES]
    labels = (*test_selectors.VALID_LABELS, *test_selectors.INVALID_LABELS)
    fields = (*(str(param.values[0]) for param in test_selectors.EXACT), *test_selectors.INVALID_FIELDS)
    queries += [f"fieldSelector=metadata.name%3Dx&labelSelector={escaped(text)}" for text in labels]
    queries += [f"fieldSelector={escaped(text)}" for text in fields]
    queries += [f"fieldSelector=metadata.name%3Dx&limit={escaped(text)}" for text, _ in test_selectors.INTEGERS]

    compare(oracles, CLAIMED + [("GET", b"/api/v1/pods?" + bytes_of(query)) for query in queries])


def escaped(text: str) -> str:
    return "".join(f"%{byte:02x}" for byte in bytes_of(text))


@pytest.mark.parametrize(
    ("generator", "count"),
    [
        pytest.param(some_uri, 45_000, id="near-miss-uris"),
        pytest.param(some_list, 30_000, id="list-options"),
        pytest.param(some_raw_uri, 30_000, id="raw-uris"),
    ],
)
def test_generated_requests_have_upstream_attributes(
    oracles: dict[str, Oracle], generator: Callable[[random.Random], bytes], count: int
) -> None:
    """Whatever is asked, attributes or their absence are upstream's."""
    rng = random.Random(SEED)
    for _ in range(count * SCALE // BATCH):
        methods = rng.choices(METHODS, weights=[len(METHODS), *[1] * (len(METHODS) - 1)], k=BATCH)
        compare(oracles, [(method, generator(rng)) for method in methods])


def test_generated_verbs_lead_back_to_upstream_attributes(oracles: dict[str, Oracle]) -> None:
    """What may have been judged for a verb and a URI is what upstream gives for the methods that give the verb."""
    rng = random.Random(SEED)
    uris = [some_uri(rng) for _ in range(800 * SCALE)] + [some_list(rng) for _ in range(200 * SCALE)] + [b"/", b"/?a"]
    answers = theirs(oracles["1.37"], [(method, uri) for uri in uris for method in ALL_METHODS])
    differing: list[Any] = []
    for place, uri in enumerate(uris):
        given = answers[place * len(ALL_METHODS) : (place + 1) * len(ALL_METHODS)]
        for verb in VERBS:
            expected = expected_for_verb(verb, given)
            if expected != (found := judged_for_verb(verb, uri)):
                differing.append({"verb": verb, "uri": uri, "ours": found, "1.37": expected})

    assert not differing, report(differing)


def judged_for_verb(verb: str, uri: bytes) -> list[Answer]:
    try:
        judged = attributes_for_verb(verb, uri.decode(errors="surrogateescape"))
    except UnparsableURI:
        return [None]
    return [test_attributes.as_upstream(attributes) for attributes in judged]


def expected_for_verb(verb: str, answers: list[Answer]) -> list[Answer]:
    """The distinct attributes with this verb, with the path "/" standing for "" too."""
    if None in answers:
        return [None]
    expected: list[Answer] = []
    for answer in answers:
        if answer and answer["verb"] == verb and answer not in expected:
            expected.append(answer)
    return expected + [answer | {"path": ""} for answer in expected if answer and answer["path"] == "/"]
