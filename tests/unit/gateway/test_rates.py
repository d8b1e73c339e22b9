"""Rates as they are written."""

import pytest

from agent_tasks.task.rate import Rate


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("1000/second", Rate(1000, 1)),
        ("600/minute", Rate(600, 60)),
        ("10000/hour", Rate(10_000, 3600)),
        (" 5 / Day ", Rate(5, 86_400)),
    ],
)
def test_a_rate_is_a_number_and_a_unit(text: str, rate: Rate) -> None:
    assert Rate.parse(text) == rate
    assert Rate.parse(str(rate)) == rate


@pytest.mark.parametrize(
    "text", ["", "fast", "0/second", "-1/second", "1.5/second", "1/fortnight", "10", "99999999/day"]
)
def test_what_is_no_rate_is_refused_with_how_one_is_written(text: str) -> None:
    with pytest.raises(ValueError, match="as in 600/minute"):
        Rate.parse(text)
