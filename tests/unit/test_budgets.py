"""Budgets: limits, what is spent, and what is left."""

import math
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_tasks.errors import BudgetExhausted, InvalidInput
from agent_tasks.task.budget import (
    RESOURCES,
    WARNING_PART,
    Budget,
    Spend,
    crossed,
    exact,
    exact_sum,
    exhausted_for_step,
    overdrawn,
    remaining,
)

WHOLE = ("tokens", "steps", "calls")
amounts = st.floats(min_value=1e-9, max_value=1e9, allow_nan=False)
counts = st.integers(min_value=1, max_value=2**31 - 1)
budgets = st.builds(
    Budget,
    seconds=st.none() | amounts,
    tokens=st.none() | counts,
    usd=st.none() | amounts,
    steps=st.none() | counts,
    calls=st.none() | counts,
)
used = st.floats(min_value=0, max_value=1e9, allow_nan=False)
used_counts = st.integers(min_value=0, max_value=2**29 - 1)
spends = st.builds(Spend, seconds=used, tokens=used_counts, usd=used, steps=used_counts, calls=used_counts)


@pytest.mark.parametrize("amounts", [{"usd": 1e301}, {"seconds": 1.7e308}, {"usd": 10**301}])
def test_a_limit_of_which_no_sum_could_be_made_is_refused(amounts: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match=r"at most 1e\+300") as caught:
        Budget(**amounts)
    assert caught.value.details["field"] in amounts


@given(budgets, spends)
def test_what_is_left_is_never_negative_and_never_above_the_limit(budget: Budget, spent: Spend) -> None:
    left = remaining(budget, spent)
    for name in RESOURCES:
        limit, rest = getattr(budget, name), getattr(left, name)
        assert (rest is None) == (limit is None)
        assert rest is None or 0 <= rest <= limit


@given(budgets, spends, spends)
def test_spending_more_never_leaves_more(budget: Budget, spent: Spend, more: Spend) -> None:
    before, after = remaining(budget, spent), remaining(budget, spent + more)
    for name in RESOURCES:
        assert getattr(before, name) is None or getattr(after, name) <= getattr(before, name)


@given(budgets, spends)
def test_overdrawn_names_a_resource_spent_beyond_its_limit(budget: Budget, spent: Spend) -> None:
    error = overdrawn(budget, spent)
    beyond = [n for n in RESOURCES if getattr(budget, n) is not None and getattr(spent, n) > getattr(budget, n)]
    if error is None:
        assert not beyond
    else:
        assert error.details["resource"] in beyond
        assert error.details["spent"] > error.details["limit"]


@given(budgets, spends)
def test_no_step_starts_without_seconds_or_steps_and_any_does_with_them(budget: Budget, spent: Spend) -> None:
    error = exhausted_for_step(budget, spent)
    left = remaining(budget, spent)
    used_up = [name for name in ("seconds", "steps") if getattr(left, name) == 0]
    assert ([error.details["resource"]] if error else []) == used_up[:1]


@pytest.mark.parametrize("name", ["seconds", "steps"])
def test_a_budget_spent_to_the_last_bit_is_not_overdrawn_but_starts_no_step(name: str) -> None:
    budget, spent = Budget(**{name: 5}), Spend(**{name: 5})
    assert overdrawn(budget, spent) is None
    error = exhausted_for_step(budget, spent)
    assert isinstance(error, BudgetExhausted)
    assert error.details == {"resource": name, "limit": 5, "spent": 5}


@pytest.mark.parametrize("name", ["tokens", "usd", "calls"])
@pytest.mark.parametrize("spent", [2, 3])
def test_a_step_that_needs_none_of_what_is_used_up_may_start(name: str, spent: int) -> None:
    assert exhausted_for_step(Budget(**{name: 2}), Spend(**{name: spent})) is None


@given(budgets, spends, spends)
def test_a_warning_is_due_once_when_the_part_of_the_limit_is_reached(budget: Budget, spent: Spend, more: Spend) -> None:
    after = spent + more
    warned = crossed(budget, spent, after)
    assert crossed(budget, spent, spent) == []
    for name in RESOURCES:
        limit, then, now = getattr(budget, name), getattr(spent, name), getattr(after, name)
        assert (name in warned) == (limit is not None and then < WARNING_PART * limit <= now)
    assert not set(warned) & set(crossed(budget, after, after + more))


@pytest.mark.parametrize(
    ("before", "after", "warned"),
    [(0, 79, []), (79, 80, ["tokens"]), (0, 80, ["tokens"]), (80, 81, []), (79, 500, ["tokens"]), (100, 200, [])],
)
def test_the_warning_comes_at_eighty_in_a_hundred(before: int, after: int, warned: list[str]) -> None:
    assert crossed(Budget(tokens=100, calls=5), Spend(tokens=before), Spend(tokens=after)) == warned


def test_several_resources_can_run_low_at_once() -> None:
    limit = Budget(seconds=10, tokens=10, usd=1.0, steps=5, calls=5)
    assert crossed(limit, Spend(), Spend(seconds=9, tokens=8, usd=0.8, steps=4, calls=3)) == [
        "seconds", "tokens", "usd", "steps",
    ]  # fmt: skip
    assert crossed(limit, Spend(), Spend(tokens=5), part=0.5) == ["tokens"]


@given(budgets, budgets)
def test_a_budget_overrides_the_default_field_by_field(budget: Budget, default: Budget) -> None:
    merged = budget.over(default)
    for name in RESOURCES:
        own = getattr(budget, name)
        assert getattr(merged, name) == (getattr(default, name) if own is None else own)


@given(budgets)
def test_a_budget_over_no_default_is_itself_and_survives_json(budget: Budget) -> None:
    assert budget.over(None) == budget
    assert Budget.from_dict(budget.as_dict()) == budget


@given(spends, spends)
def test_spends_add_up_in_any_order(one: Spend, other: Spend) -> None:
    assert one + other == other + one
    assert (one + Spend()) == one


@pytest.mark.parametrize("name", RESOURCES)
@pytest.mark.parametrize(
    "value", [0, 0.0, -1, -0.5, math.nan, math.inf, -math.inf, "5", b"5", True, False, [], 10**400, 10**4300 - 1, 1j]
)
def test_a_budget_refuses_what_is_no_amount_and_names_the_resource(name: str, value: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        Budget(**{name: value})
    assert caught.value.details["field"] == name
    assert name in caught.value.message


@pytest.mark.parametrize("name", RESOURCES)
@pytest.mark.parametrize("value", [-1, -1e-9, math.nan, math.inf, "5", None, True])
def test_a_spend_refuses_what_was_not_spent(name: str, value: Any) -> None:
    with pytest.raises(InvalidInput):
        Spend(**{name: value})


@pytest.mark.parametrize("name", WHOLE)
def test_what_is_counted_is_a_whole_number_that_its_column_holds(name: str) -> None:
    with pytest.raises(InvalidInput):
        Budget(**{name: 2.5})
    with pytest.raises(InvalidInput):
        Budget(**{name: 2**63})
    kept = getattr(Budget(**{name: 1e3}), name)
    assert kept == 1000
    assert type(kept) is int


def test_an_unknown_resource_is_refused_with_the_list_of_those_there_are() -> None:
    with pytest.raises(InvalidInput, match="seconds, tokens, usd, steps, calls") as caught:
        Budget.from_dict({"minutes": 5})
    assert "minutes" in caught.value.message


def test_the_message_of_an_exhausted_budget_says_what_to_do() -> None:
    error = BudgetExhausted.of("tokens", 100, 120)
    assert "120" in error.message
    assert "100" in error.message
    assert "Resume" in error.message
    assert error.info.suggested_action == "raise_budget"


def test_dollars_are_reckoned_as_they_are_written() -> None:
    assert Spend(usd=0.1) + Spend(usd=0.2) == Spend(usd=0.3)
    assert remaining(Budget(usd=0.3), Spend(usd=0.1)).usd == 0.2
    assert exact(1e-7) == Decimal("0.0000001")
    assert exact_sum([1e300, 1e-300, -1e300]) == Decimal("1e-300")
