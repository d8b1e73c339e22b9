"""JSON in the types of A2A: all that a task can hold is told, and what does not fit as text."""

import json
from typing import Any

import pytest

pytest.importorskip("a2a", reason="the extra a2a is not installed")

from agent_tasks.gateway.a2a.values import JSON, JSON_TEXT, fits, fitting, part_of, plain


def nested(levels: int) -> Any:
    given: Any = 1
    for _ in range(levels):
        given = [given]
    return given


@pytest.mark.parametrize("given", [1, None, True, 2.5, "x", [], {"a": [1, {"b": None}]}, [0] * 4_999, nested(29)])
def test_what_fits_is_data_and_comes_back_as_it_was(given: Any) -> None:
    assert fits(given)
    if not isinstance(given, str):
        assert plain(part_of(given).data) == given


@pytest.mark.parametrize(
    "given", [[0] * 5_000, nested(30), nested(149), 10**309, [-(10**400)], {"a": 10**309}], ids=lambda _: ""
)
def test_what_does_not_fit_is_text(given: Any) -> None:
    assert not fits(given)
    part = part_of(given)
    assert part.media_type == JSON
    assert json.loads(part.text) == given
    assert json.loads(fitting({"x": given})[JSON_TEXT]) == {"x": given}
