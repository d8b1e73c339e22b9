"""Statements with named parameters: their text is read once, and Postgres gets numbers."""

from uuid import UUID

import pytest

from agent_tasks.store.numbered import numbered

ONE, TWO = UUID(int=1), UUID(int=2)


@pytest.mark.parametrize(
    ("query", "params", "text", "values"),
    [
        ("SELECT %(a)s, %(b)s, %(a)s", {"a": 1, "b": 2, "more": 3}, "SELECT $1, $2, $1", [1, 2]),
        ("SELECT %s, %s", [1, 1], "SELECT $1, $2", [1, 1]),
        ("SELECT %(a)s LIKE 'x%%'", {"a": "x"}, "SELECT $1 LIKE 'x%'", ["x"]),
        ("SELECT 100 %% 7", {}, "SELECT 100 % 7", []),
        ("SELECT %(ids)b::uuid[]", {"ids": [ONE, TWO]}, "SELECT $1::uuid[]", [f"{{{ONE.hex},{TWO.hex}}}"]),
        ("SELECT %(ids)b::uuid[]", {"ids": []}, "SELECT $1::uuid[]", ["{}"]),
    ],
)
def test_placeholders_become_numbers_and_values_come_in_their_order(
    query: str, params: "dict[str, object] | list[object]", text: str, values: "list[object]"
) -> None:
    assert numbered(query, params) == (text.encode(), values)


def test_a_parameter_that_is_missing_is_an_error() -> None:
    with pytest.raises(KeyError, match="b"):
        numbered("SELECT %(a)s, %(b)s", {"a": 1})
