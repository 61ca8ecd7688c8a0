"""records: a repeated key is malformed wherever somebody looks, and legal in what was sent as it is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaudit_core.policy.types import RequestAuditConfig
from kaudit_core.verification.bodies import unexpected_managed_fields
from tests.events.logs import EVENT, event, records

FIELDS = '"managedFields":[{"manager":"x"}]'


def line(body: str, name: str = "responseObject", verb: str = "update") -> bytes:
    return EVENT[:-1] + f',"verb":"{verb}","{name}":{body}}}\n'.encode()


HIDING = {
    f'{{"metadata":{{{FIELDS}}},"metadata":{{}}}}': '"metadata" in {}',
    f'{{"metadata":{{{FIELDS},"managedFields":null}}}}': '"managedFields" in {}.metadata',
    f'{{"items":[{{"metadata":{{{FIELDS}}}}}],"items":[]}}': '"items" in {}',
    f'{{"items":[1,{{"metadata":{{{FIELDS}}},"metadata":1}}]}}': '"metadata" in {}.items[1]',
    f'{{"items":[{{"metadata":{{{FIELDS},"managedFields":[]}}}}]}}': '"managedFields" in {}.items[0].metadata',
    f'{{"rows":[{{"object":{{"metadata":{{{FIELDS}}}}}}}],"rows":0}}': '"rows" in {}',
    f'{{"rows":[{{"object":{{"metadata":{{{FIELDS}}}}},"object":[]}}]}}': '"object" in {}.rows[0]',
    f'{{"rows":[{{"object":{{"metadata":{{{FIELDS}}},"metadata":{{}}}}}}]}}': '"metadata" in {}.rows[0].object',
    f'{{"rows":[{{"object":{{"metadata":{{{FIELDS},"managedFields":0}}}}}}]}}': (
        '"managedFields" in {}.rows[0].object.metadata'
    ),
    '{"kind":"Table","kind":"Other","rows":[]}': '"kind" in {}',
    f'{{"metadata":{{{FIELDS}}},"meta\\u0064ata":{{}}}}': '"metadata" in {}',
}


@pytest.mark.parametrize("name", ["requestObject", "responseObject"])
@pytest.mark.parametrize(("body", "words"), HIDING.items(), ids=[str(number) for number in range(len(HIDING))])
def test_key_repeated_where_the_verifier_looks_is_malformed(name: str, body: str, words: str) -> None:
    """The last value of a repeated key can't hide what the first one held."""
    (record,) = records(line(body, name))

    assert ("duplicate-key", None) == (record.code, record.event)
    assert f"duplicate key {words.format(name)}" == record.problem


@pytest.mark.parametrize("body", HIDING)
def test_patch_may_repeat_any_key(body: str) -> None:
    """A patch is logged as it was sent; its response is not."""
    assert [None] == [record.code for record in records(line(body, "requestObject", "patch"))]
    assert ["duplicate-key"] == [record.code for record in records(line(body, "responseObject", "patch"))]


@pytest.mark.parametrize(
    "body",
    [
        pytest.param('{"spec":{"raw":{"a":1,"a":2}}}', id="raw-field"),
        pytest.param('{"spec":{"a":1,"a":{"b":1,"b":2}}}', id="directly-in-spec"),
        pytest.param('{"metadata":{"managedFields":[{"fieldsV1":{"f:a":{},"f:a":{}}}]}}', id="fields-v1"),
        pytest.param('{"metadata":{"annotations":{"a":"1","a":"2"}}}', id="annotations"),
        pytest.param('{"items":[{"data":{"a":1,"a":2}}]}', id="raw-field-of-an-item"),
        pytest.param('{"rows":[{"cells":[{"a":1,"a":2}],"object":{"spec":{"a":1,"a":2}}}]}', id="in-a-row"),
        pytest.param('[{"a":1,"a":2}]', id="list-of-operations"),
    ],
)
@pytest.mark.parametrize("name", ["requestObject", "responseObject"])
def test_key_repeated_deeper_in_a_body_is_legal(name: str, body: str) -> None:
    """Raw fields are copied byte by byte, whatever they hold; the last value counts."""
    (record,) = records(line(body, name))

    assert event(verb="update", **{name: json.loads(body)}) == record.event


def test_key_repeated_in_the_body_of_an_item_is_malformed() -> None:
    """What holds for a line's event holds for an item of an EventList."""
    item = line('{"metadata":{},"metadata":{}}').strip()

    assert ["duplicate-key", None] == [record.code for record in records(b'{"items":[' + item + b"," + EVENT + b"]}\n")]


STEPS = ("metadata", "items", "rows", "object", "managedFields", "other")
BODIES: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from([None, 1, []]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.lists(st.tuples(st.sampled_from(STEPS), inner), max_size=3).map(tuple)
    ),
    max_leaves=12,
)


def text(value: Any) -> str:
    """JSON in which an object, a tuple of pairs, may repeat keys."""
    if isinstance(value, tuple):
        return "{" + ",".join(f'"{key}":{text(member)}' for key, member in value) + "}"
    return "[" + ",".join(map(text, value)) + "]" if isinstance(value, list) else json.dumps(value)


def first_wins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return dict(reversed(pairs))


@given(BODIES)
def test_no_reading_of_repeated_keys_finds_more(body: Any) -> None:
    """In an event that is accepted, managedFields are where they are no matter which of two values counts."""
    data = line(text(body))
    (record,) = records(data)
    if record.event is not None:
        config = RequestAuditConfig(0, "RequestResponse", (), True)
        other = json.loads(data, object_pairs_hook=first_wins)
        found = [bool(list(unexpected_managed_fields(one, config))) for one in (record.event, other)]
        assert found[0] == found[1]
