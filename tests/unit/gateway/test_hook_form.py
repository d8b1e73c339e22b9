"""Forms of hooks: made of the schemas that pydantic writes, read as JSON that these schemas take."""

from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from pydantic import BaseModel, SecretStr, TypeAdapter

from agent_tasks.gateway.hook_form import HookForm, heading_of
from tests.agents_hooks import Address, Everything, Verdict

SCHEMA = Everything.model_json_schema()
GOOD = {
    "text": "two\r\nlines", "line": "one", "whole": " 42 ", "number": "1.5", "sure": "true", "size": '"small"',
    "colour": '"blue"', "day": "2026-11-29", "at": "14:30", "moment": "2026-11-29T14:30",
    "address": '{"street": "Quay", "number": 7}', "tags": '["a"]', "maybe": "", "note": "", "count": "4", "code": "x",
}  # fmt: skip


def filled(schema: Any, **values: str) -> Any:
    return HookForm.of(schema).read({f"answer.{name}": value for name, value in values.items()})


def test_each_kind_of_field_has_its_own_way_to_be_filled_in() -> None:
    fields = {field.key: field for field in HookForm.of(SCHEMA).fields}
    assert {key: field.kind for key, field in fields.items()} == {
        "text": "text", "line": "line", "whole": "whole", "number": "number", "sure": "choice", "size": "choice",
        "colour": "list", "day": "date", "at": "time", "moment": "datetime-local", "address": "json", "tags": "json",
        "maybe": "choice", "note": "text", "count": "whole", "code": "text",
    }  # fmt: skip
    assert [choice.label for choice in fields["sure"].choices] == ["Yes", "No"]
    assert len(fields["colour"].choices) == 6
    assert {key for key, field in fields.items() if field.is_required} == set(SCHEMA["required"])
    assert {key: field.initial for key, field in fields.items() if field.initial} == {
        "tags": "[]", "count": "3", "code": "none",
    }  # fmt: skip
    assert fields["text"].hint == "As long as you like."
    assert HookForm.of(SCHEMA).question == "A question of every kind."


def test_what_was_filled_in_is_what_the_model_takes() -> None:
    found = filled(SCHEMA, **GOOD)
    assert found.errors == {}
    read = Everything.model_validate_json(TypeAdapter(Any).dump_json(found.payload))
    assert (read.text, read.whole, read.number, read.sure, read.address.number) == ("two\nlines", 42, 1.5, True, 7)
    assert read.moment.isoformat() == "2026-11-29T14:30:00+00:00"
    assert (read.tags, read.maybe, read.note, read.count, read.code) == (["a"], None, None, 4, "x")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("text", "", "Fill this in"),
        ("line", "   ", "Fill this in"),
        ("line", "nul \x00 in it", "cannot be kept"),
        ("whole", "1.5", "whole number"),
        ("whole", "٣", "whole number"),
        ("whole", "9" * 400, "whole number"),
        ("number", "1,5", "as 12.5"),
        ("number", "1_0", "as 12.5"),
        ("number", "inf", "as 12.5"),
        ("number", "1e999", "as 12.5"),
        ("sure", "", "Choose one"),
        ("sure", "yes", "Choose one"),
        ("size", '"huge"', "Choose one"),
        ("colour", "", "Choose one"),
        ("day", "29.11.2026", "as 2026-11-29"),
        ("day", "2026-02-30", "as 2026-11-29"),
        ("at", "half past two", "as 14:30"),
        ("moment", "tomorrow", "as 2026-11-29T14:30"),
        ("address", "{", "not JSON"),
        ("address", "NaN", "no JSON number"),
        ("address", "[" * 500, "64 levels"),
        ("address", '{"a": 1, "a": 2}', "twice"),
        ("count", "three", "whole number"),
    ],
)
def test_what_cannot_be_read_is_said_beside_its_field(name: str, value: str, said: str) -> None:
    errors = filled(SCHEMA, **{**GOOD, name: value}).errors
    assert list(errors) == [f"answer.{name}"]
    assert said in errors[f"answer.{name}"]


def test_what_is_left_out_is_null_or_the_models_own_default() -> None:
    assert filled(Verdict.model_json_schema(), ok="false").payload == {"ok": False}
    assert filled(Verdict.model_json_schema(), ok="true", remark="").payload == {"ok": True}
    assert filled(Verdict.model_json_schema(), ok="true", remark="fine").payload == {"ok": True, "remark": "fine"}


class Rest(BaseModel):
    price: Decimal
    id: UUID
    secret: SecretStr
    other: Address
    maybe_other: Address | None = None
    either: Address | Verdict
    required_null: str | None


def test_other_types_are_text_or_json() -> None:
    form = HookForm.of(Rest.model_json_schema())
    kinds = {field.key: field.kind for field in form.fields}
    assert kinds == {
        "price": "text", "id": "line", "secret": "password", "other": "json", "maybe_other": "json", "either": "json",
        "required_null": "text",
    }  # fmt: skip
    given = {"price": "1.50", "id": str(UUID(int=1)), "secret": "s", "other": "{}", "either": "{}", "required_null": ""}
    assert filled(Rest.model_json_schema(), **given).payload["required_null"] is None


@pytest.mark.parametrize(
    ("hint", "value", "payload"),
    [(bool, "true", True), (int, "3", 3), (str, "s", "s"), (int | None, "", None), (list[int], "[1]", [1])],
)
def test_a_payload_that_is_no_object_is_one_field(hint: Any, value: str, payload: Any) -> None:
    form = HookForm.of(TypeAdapter(hint).json_schema())
    assert [field.name for field in form.fields] == ["answer"]
    assert form.read({"answer": value}).payload == payload


def test_any_payload_is_json_or_nothing() -> None:
    form = HookForm.of(None)
    assert form.read({"answer": '{"a": [1]}'}).payload == {"a": [1]}
    assert form.read({}).payload is None
    assert form.read({"answer": "yes"}).errors["answer"].startswith("This is not JSON")


def test_errors_of_the_payload_find_their_field() -> None:
    form = HookForm.of(SCHEMA)
    assert form.name_of("payload.address.number") == "answer.address"
    assert form.name_of("whole") == "answer.whole"
    assert form.name_of("payload") is None
    assert HookForm.of({"type": "integer"}).name_of("payload") == "answer"


@pytest.mark.parametrize(
    "schema",
    [
        {}, {"type": "object"}, {"$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#/$defs/A"}}}, {"$ref": "elsewhere"},
        {"anyOf": []}, {"enum": []}, {"enum": [None, 1, "a", {"b": 2}]}, {"type": ["string", "null"]},
        {"type": "object", "properties": {"a": {}, "": {"type": "string"}, "a.b": {"const": 1}}},
        {"allOf": [{"type": "boolean"}]}, {"type": "null"},
    ],
)  # fmt: skip
def test_odd_schemas_make_forms_too(schema: dict[str, Any]) -> None:
    form = HookForm.of(schema)
    assert form.fields
    form.read({field.name: "x" for field in form.fields})
    form.read({})


def test_names_are_shown_as_words() -> None:
    assert [heading_of(name) for name in ("may_publish", "mayPublish", "ok", "*")] == [
        "May publish", "May Publish", "Ok", "*",
    ]  # fmt: skip
