"""Directives: what a step returns, compared and shown like values, and refused where it means nothing."""

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agent_tasks import Agent, Budget, Child, Done, FanOut, InvalidInput, Next, Partial, Sleep, Wait

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def combine(ctx: object) -> None: ...
def later(ctx: object) -> None: ...


SAME: list[Callable[[], Any]] = [
    lambda: Next(combine, topic="t"),
    lambda: Wait("approval", then=combine),
    lambda: Wait(["a", "b"], then=combine, timeout=5, on_timeout=later, all=True, draft="d"),
    lambda: Sleep(5, then=combine, n=1),
    lambda: Sleep(NOON, then=combine),
    lambda: FanOut([Child("echo", {"value": 1})], then=combine, reserve=5, split="adaptive", topic="t"),
    lambda: FanOut([], then=combine, reserve=Budget(tokens=5), on_child_failure="fail"),
    lambda: Done([1]),
    lambda: Partial([1], "half"),
]


@pytest.mark.parametrize("make", SAME)
def test_directives_are_compared_by_value(make: Callable[[], Any]) -> None:
    assert make() == make()
    assert [other() == make() for other in SAME].count(True) == 1


def test_a_step_is_named_by_function_or_by_name() -> None:
    assert Next(combine, topic="t") == Next("combine", topic="t")
    assert Wait("a", then=combine, timeout=1, on_timeout=later) == Wait(
        "a", then="combine", timeout=1, on_timeout="later"
    )
    assert Sleep(1, then=combine) == Sleep(1, then="combine")
    assert FanOut([], then=combine) == FanOut([], then="combine")


DIFFERENT = [
    (Next(combine), Next("other")),
    (Next(combine, a=1), Next(combine, a=2)),
    (Next(combine), "combine"),
    (Next(combine), Sleep(0, then=combine)),
    (Wait("a", then=combine), Wait("b", then=combine)),
    (Wait("a", then=combine), Wait("a", then=combine, timeout=5)),
    (Wait("a", then=combine, timeout=5), Wait("a", then=combine, timeout=5, on_timeout=later)),
    (Wait("a", then=combine), Wait("a", then=combine, all=True)),
    (Sleep(5, then=combine), Sleep(6, then=combine)),
    (Sleep(5, then=combine), Sleep(NOON, then=combine)),
    (FanOut([], then=combine), FanOut([Child("echo")], then=combine)),
    (FanOut([Child("echo")], then=combine), FanOut([Child("echo", weight=2)], then=combine)),
    (FanOut([], then=combine), FanOut([], then=combine, reserve=1)),
    (FanOut([], then=combine), FanOut([], then=combine, on_child_failure="fail")),
    (Done(1), Partial(1)),
    (Done(1), 1),
]


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_whatever_differs_makes_another_directive(one: Any, other: Any) -> None:
    assert one != other
    assert other != one


@pytest.mark.parametrize("directive", [make() for make in SAME[:7]])
def test_a_directive_with_state_has_no_hash_for_what_it_holds_may_have_none(directive: Any) -> None:
    with pytest.raises(TypeError):
        hash(directive)


def test_state_may_have_any_name_that_the_directive_does_not_take() -> None:
    assert Next(combine, self=1, step=2, state=3, then=4).state == {"self": 1, "step": 2, "state": 3, "then": 4}
    assert Wait("a", then=combine, signal=1, names=2, state=3).state == {"signal": 1, "names": 2, "state": 3}
    assert Sleep(1, then=combine, seconds=1, duration_or_time=2).state == {"seconds": 1, "duration_or_time": 2}
    assert FanOut([], then=combine, children=1).state == {"children": 1}


@pytest.mark.parametrize(
    "directive",
    [
        Next(combine, password="hunter2"),
        Wait("a", then=combine, password="hunter2"),
        Sleep(1, then=combine, password="hunter2"),
        FanOut([], then=combine, password="hunter2"),
    ],
)
def test_a_directive_shows_the_names_of_its_state_and_not_what_may_be_secret(directive: Any) -> None:
    shown = repr(directive)
    assert type(directive).__name__ in shown
    assert "combine" in shown
    assert "password" in shown
    assert "hunter2" not in shown


def test_a_wait_for_several_names_each_once_in_order() -> None:
    assert Wait(["b", "a", "b"], then=combine).names == ("b", "a")
    assert Wait("ab", then=combine).names == ("ab",)


@pytest.mark.parametrize("signal", ["", [], [""], ["a", ""], "x" * 129, ["a", 7], [None], 7, None])
def test_a_wait_needs_names_that_a_signal_can_have(signal: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        Wait(signal, then=combine)
    assert caught.value.details["field"] == "signal"


def test_a_step_for_the_timeout_needs_a_timeout() -> None:
    with pytest.raises(InvalidInput) as caught:
        Wait("a", then=combine, on_timeout=later)
    assert caught.value.details["field"] == "timeout"


@pytest.mark.parametrize(("given", "seconds"), [(5, 5.0), (0.25, 0.25), (timedelta(days=2), 172_800.0), (-3, 0.0)])
def test_times_are_seconds_or_a_timedelta_and_what_is_past_is_now(given: Any, seconds: float) -> None:
    assert Wait("a", then=combine, timeout=given).timeout == seconds
    assert Sleep(given, then=combine).seconds == seconds
    assert Sleep(given, then=combine).until is None


@pytest.mark.parametrize("time", [NOON, datetime(1970, 1, 1, tzinfo=UTC)])
def test_a_sleep_may_be_until_a_time_past_ones_too(time: datetime) -> None:
    assert (Sleep(time, then=combine).until, Sleep(time, then=combine).seconds) == (time, None)


NO_TIMES = [math.nan, math.inf, -math.inf, "5", True, None, [], 1e300, 10**400, timedelta.max, 1e12]


@pytest.mark.parametrize("time", [*NO_TIMES, NOON.replace(tzinfo=None), datetime.max.replace(tzinfo=UTC)])
def test_a_sleep_refuses_what_is_no_time_or_beyond_all_calendars(time: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        Sleep(time, then=combine)
    assert caught.value.details["field"] in ("duration", "until")


@pytest.mark.parametrize("timeout", [time for time in NO_TIMES if time is not None] + [NOON])
def test_a_timeout_refuses_what_is_no_time_or_beyond_all_calendars(timeout: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        Wait("a", then=combine, timeout=timeout)
    assert caught.value.details["field"] == "timeout"


@pytest.mark.parametrize("weight", [0, -1, math.nan, math.inf, "2", None, True])
def test_a_child_has_a_weight_above_zero(weight: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        Child("echo", weight=weight)
    assert caught.value.details["field"] == "weight"


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"agent": None}, "agent"),
        ({"agent": 7}, "agent"),
        ({"agent": "echo", "budget": {"tokens": 5}}, "budget"),
        ({"agent": "echo", "budget": 5}, "budget"),
        ({"agent": "echo", "metadata": [1]}, "metadata"),
    ],
)
def test_a_child_that_could_not_be_spawned_is_refused_where_it_is_made(options: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Child(**options)
    assert caught.value.details["field"] == field


def test_a_child_names_its_agent_by_the_agent_or_by_its_name() -> None:
    assert Child("echo").agent_name == Child(Agent("echo_child")).agent_name[:4] == "echo"
    assert Child("echo").input == {}


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"on_child_failure": "ignore"}, "on_child_failure"),
        ({"on_child_failure": None}, "on_child_failure"),
        ({"split": "fair"}, "split"),
        ({"reserve": -1}, "reserve"),
        ({"reserve": math.nan}, "reserve"),
        ({"reserve": "60"}, "reserve"),
        ({"reserve": True}, "reserve"),
        ({"reserve": False}, "reserve"),
    ],
)
def test_a_fan_out_refuses_what_means_nothing(options: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        FanOut([], then=combine, **options)
    assert caught.value.details["field"] == field


@pytest.mark.parametrize(
    "children", [["echo"], [Child("echo"), {"agent": "echo"}], [None], "echo", None, 5, Child("a")]
)
def test_a_fan_out_takes_children_and_nothing_else(children: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        FanOut(children, then=combine)
    assert caught.value.details["field"] == "children"


def test_the_reserve_of_a_fan_out_is_seconds_or_a_budget() -> None:
    assert FanOut([], then=combine, reserve=60).reserve == Budget(seconds=60)
    assert FanOut([], then=combine, reserve=Budget(tokens=5)).reserve == Budget(tokens=5)
    assert FanOut([], then=combine).reserve == Budget()


@pytest.mark.parametrize("nothing", [0, 0.0])
def test_a_reserve_of_zero_keeps_nothing_which_is_not_the_default(nothing: float) -> None:
    assert FanOut([], then=combine, reserve=nothing).keeps_nothing
    assert not FanOut([], then=combine).keeps_nothing
    assert FanOut([], then=combine, reserve=nothing) != FanOut([], then=combine)


def test_the_children_of_a_fan_out_are_those_of_the_moment_it_was_made() -> None:
    children = [Child("echo")]
    made = FanOut(children, then=combine)
    children.append(Child("other"))
    assert [child.agent for child in made.children] == ["echo"]
    assert len(FanOut((Child("echo") for _ in range(3)), then=combine).children) == 3  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "make",
    [
        lambda: Next(combine, "t"),
        lambda: Sleep(5, combine, "t"),
        lambda: Wait("a", combine, None, None, False, "t"),
        lambda: FanOut([], combine, None, "collect", "equal", "t"),
    ],
)
def test_the_state_is_given_by_name(make: Callable[[], Any]) -> None:
    with pytest.raises(InvalidInput, match=r"\(combine, \.\.\.\) takes the step's arguments by name"):
        make()
