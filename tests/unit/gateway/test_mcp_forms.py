"""Forms for hosts of the Model Context Protocol: flat ones of any schema, and what was filled in as it has it."""

import enum
from datetime import date, datetime
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field, TypeAdapter

from agent_tasks import InvalidInput
from agent_tasks.gateway.mcp.forms import ElicitationForm


class Size(enum.IntEnum):
    SMALL = 1
    LARGE = 2


class Address(BaseModel):
    street: str


class Everything(BaseModel):
    """A question of every kind."""

    line: str = Field(max_length=20, title="One line", description="No more than that.")
    whole: int
    number: float
    sure: bool
    kind: Literal["new", "old"]
    size: Size
    day: date
    moment: datetime
    address: Address
    note: str | None = None


FORM = ElicitationForm(Everything.model_json_schema())
PRIMITIVES = {"string", "number", "integer", "boolean"}


def test_a_form_is_flat_and_has_the_fields_of_the_model() -> None:
    request = FORM.request("a question")
    assert request["method"] == "elicitation/create"
    assert request["params"]["message"] == "A question of every kind."
    schema = request["params"]["requestedSchema"]
    assert schema["type"] == "object"
    assert schema["required"] == [name for name in Everything.model_fields if name != "note"]
    fields = schema["properties"]
    assert {field["type"] for field in fields.values()} <= PRIMITIVES
    assert fields["line"] == {
        "title": "One line",
        "description": "No more than that.",
        "type": "string",
        "maxLength": 20,
    }
    assert {name: fields[name]["type"] for name in ("whole", "number", "sure")} == {
        "whole": "integer",
        "number": "number",
        "sure": "boolean",
    }
    assert fields["kind"]["enum"] == ["new", "old"]
    assert fields["size"]["enum"] == ["1", "2"]
    assert (fields["day"]["format"], fields["moment"]["format"]) == ("date", "date-time")
    assert fields["address"]["description"] == "As JSON."


def test_what_was_filled_in_is_as_the_model_has_it() -> None:
    given = {
        "line": "a",
        "whole": 3,
        "number": 2.5,
        "sure": False,
        "kind": "old",
        "size": "2",
        "day": "2026-11-28",
        "moment": "2026-11-28T10:00:00Z",
        "address": '{"street": "Long"}',
    }
    found = Everything.model_validate(FORM.read(given))
    assert (found.size, found.address.street, found.note) == (Size.LARGE, "Long", None)


@pytest.mark.parametrize(
    ("type_", "given", "payload"),
    [(bool, True, True), (int, 3, 3), (str, "a", "a"), (list[int], "[1, 2]", [1, 2]), (Literal["a", "b"], "b", "b")],
)
def test_a_payload_that_is_no_object_is_one_field(type_: Any, given: Any, payload: Any) -> None:
    form = ElicitationForm(TypeAdapter(type_).json_schema())
    request = form.request("a question")
    assert request["params"]["message"] == "a question"
    (name,) = request["params"]["requestedSchema"]["properties"]
    assert form.read({name: given}) == payload


@pytest.mark.parametrize(
    ("content", "said"), [("text", "object"), ({"colour": 1}, "colour"), ({"address": "{"}, "must be JSON")]
)
def test_what_cannot_be_read_is_refused(content: Any, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        FORM.read(content)
