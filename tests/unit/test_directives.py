"""Directives: what a step returns, compared and shown like values."""

import pytest

from agent_tasks import Done, Next


def combine(ctx: object) -> None: ...


def test_a_next_names_its_step_by_function_or_by_name() -> None:
    assert Next(combine, topic="t") == Next("combine", topic="t")
    assert Next(combine) != Next("other")
    assert Next(combine, a=1) != Next(combine, a=2)
    assert Next(combine) != "combine"


def test_state_may_have_any_name() -> None:
    assert Next(combine, self=1, step=2, state=3).state == {"self": 1, "step": 2, "state": 3}


def test_a_next_shows_the_names_of_its_state_and_not_what_may_be_secret() -> None:
    shown = repr(Next(combine, password="hunter2"))
    assert "combine" in shown
    assert "password" in shown
    assert "hunter2" not in shown


def test_directives_are_compared_by_value() -> None:
    assert Done([1]) == Done([1])
    assert Done() == Done(None)
    with pytest.raises(TypeError):
        hash(Next(combine))
