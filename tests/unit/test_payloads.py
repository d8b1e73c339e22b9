"""Payloads: what may be stored as JSON, and how the rest is refused."""

import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import IntEnum, StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from agent_tasks.errors import InvalidInput, PayloadTooLarge, StepFailed
from agent_tasks.storable import storable, storable_value
from agent_tasks.task.payloads import encode, encode_value, stored
from agent_tasks.task.snapshot import Progress

text = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]))
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text
documents = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(text, inner), max_leaves=30)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.just(object()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers() | st.floats(), inner),
    max_leaves=20,
)


class Color(StrEnum):
    RED = "red"


class Level(IntEnum):
    LOW = 1


@dataclass
class Point:
    x: float
    y: float = 0.0


class Report(BaseModel):
    title: str
    at: datetime
    inner: Any = None


@given(documents)
def test_what_is_accepted_comes_back_the_same(value: Any) -> None:
    assert stored(encode(value, "input")) == value


@given(anything)
def test_whatever_is_given_is_accepted_or_refused_by_a_typed_error(value: Any) -> None:
    refused, accepted = None, "null"
    try:
        accepted = encode(value, "input")
    except InvalidInput as error:
        refused = error.details["field"]
    assert refused is None or refused.startswith("input")
    json.loads(accepted)
    assert "\x00" not in accepted
    accepted.encode()


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        ({1}, [1]),
        ((1, 2), [1, 2]),
        (datetime(2026, 1, 2, 3, 4, tzinfo=UTC), "2026-01-02T03:04:00Z"),
        (Decimal("1.50"), "1.50"),
        (Color.RED, "red"),
        (Level.LOW, 1),
        (Point(1.0), {"x": 1.0, "y": 0.0}),
        (
            Report(title="t", at=datetime(2026, 1, 2, tzinfo=UTC)),
            {"title": "t", "at": "2026-01-02T00:00:00Z", "inner": None},
        ),
        ({1: "a", None: "b", False: "c"}, {"1": "a", "null": "b", "false": "c"}),
        ("a \\u0000 that is text", "a \\u0000 that is text"),
    ],
)
def test_plain_values_of_python_have_their_usual_json_form(value: Any, stored: Any) -> None:
    assert json.loads(encode({"value": value}, "result"))["value"] == stored


def _nested(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels - 1):
        value = [value]
    return value


def _cycle() -> dict[str, Any]:
    value: dict[str, Any] = {}
    value["self"] = value
    return value


@pytest.mark.parametrize(
    ("value", "field", "said"),
    [
        ({"a": [1, math.nan]}, "input.a[1]", "nan"),
        ({"a": math.inf}, "input.a", "inf"),
        ({"a": {"b": "x\x00y"}}, "input.a.b", "NUL"),
        ({"a\x00": 1}, "input key", "NUL"),
        ({"a": "\ud800"}, "input.a", "surrogate"),
        ({"\udfff": 1}, "input key", "surrogate"),
        ({"a b": {"c": "\x00"}}, "input.a b.c", "NUL"),
        ({"a": object()}, "input.a", "no JSON form"),
        ({"a": b"\xff"}, "input.a", "no JSON form"),
        ({"a": [lambda: 1]}, "input.a[0]", "no JSON form"),
        ({"a": {(1, 2): 3}}, "input.a key", "tuple"),
        ({"a": [{1: "x", "1": "y"}]}, "input.a[0].1", "twice"),
        ({"a": {None: "x", "null": "y"}}, "input.a.null", "twice"),
        ({"a": 10**5000}, "input.a", "digits"),
        ({"a": Point(math.nan)}, "input.a.x", "nan"),
        ({"a": Report(title="\x00", at=datetime.now(UTC))}, "input.a.title", "NUL"),
    ],
)
def test_what_json_or_postgres_cannot_hold_is_refused_with_its_place(value: Any, field: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said) as caught:
        encode(value, "input")
    assert caught.value.details["field"] == field
    assert field in caught.value.message


@pytest.mark.parametrize("value", [_nested(151), _nested(5000), _cycle(), [[_cycle()]]])
def test_cycles_and_deep_nesting_are_refused_in_few_words(value: Any) -> None:
    with pytest.raises(InvalidInput, match="levels deep") as caught:
        encode(value, "result")
    assert len(caught.value.message) < 400


def test_whatever_is_not_too_deep_can_be_read_by_those_who_read_snapshots() -> None:
    accepted = encode(_nested(150), "result")
    Progress.model_validate_json(f'{{"done": 1, "extra": {{"result": {accepted}}}}}')
    encode([["[{"] * 200, {"a": "]" * 500}], "brackets in text are no nesting")


def test_a_payload_over_the_limit_says_how_large_it_is_and_what_to_do() -> None:
    with pytest.raises(PayloadTooLarge, match="AGENT_TASKS_PAYLOAD_LIMIT") as caught:
        encode("x" * 2000, "input", limit=1000)
    assert caught.value.details == {"payload": "input", "size": 2002, "limit": 1000}


@pytest.mark.parametrize("character", ["a", "é", "€", "😀", '"', "\n"])
def test_the_limit_counts_bytes(character: str) -> None:
    size = len(json.dumps(character * 10, ensure_ascii=False).encode())
    assert encode(character * 10, "input", limit=size)
    with pytest.raises(PayloadTooLarge):
        encode(character * 10, "input", limit=size - 1)


def test_an_outcome_with_no_json_form_is_the_fault_of_the_step() -> None:
    with pytest.raises(StepFailed) as caught:
        encode_value({"a": object()}, "result")
    assert caught.value.details["field"] == "result.a"


def test_a_payload_of_several_words_is_named_as_a_whole() -> None:
    with pytest.raises(StepFailed) as caught:
        encode_value({"draft": math.nan}, "partial result")
    assert caught.value.details["field"] == "partial result.draft"


@given(st.text())
def test_any_message_becomes_storable_and_good_ones_stay(message: str) -> None:
    kept = storable(message)
    assert "\x00" not in kept
    assert kept.encode().decode() == kept
    if "\x00" not in message and message.isascii():
        assert kept == message


class Broken:
    def __repr__(self) -> str:
        raise RuntimeError("broken")


@given(anything | st.builds(Broken) | st.builds(_cycle) | st.integers(min_value=1, max_value=400).map(_nested))
def test_any_value_becomes_a_storable_one(value: Any) -> None:
    encode(storable_value(value), "details")


@given(documents)
def test_what_is_storable_stays_as_it_is(value: Any) -> None:
    assert storable_value(value) == value
