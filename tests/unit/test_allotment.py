"""Allotment: a parent's budget divided among its children, and never more than there is."""

import math
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from agent_tasks.errors import BudgetExhausted
from agent_tasks.task.allotment import DIVIDED, Allotment, Claimant, divide
from agent_tasks.task.budget import RESOURCES, Budget, Remaining

amounts = st.floats(min_value=1e-6, max_value=1e6)
counts = st.integers(min_value=1, max_value=10_000_000)


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


asks = st.builds(Budget, maybe(amounts), maybe(counts), maybe(amounts), maybe(counts), maybe(counts))
usages = st.builds(Budget, st.none(), maybe(counts), maybe(amounts), maybe(counts), maybe(counts))
lefts = st.builds(
    Remaining,
    maybe(st.floats(min_value=0, max_value=1e6)),
    maybe(st.integers(0, 10**9)),
    maybe(st.floats(min_value=0, max_value=1e6)),
    maybe(st.integers(0, 10**6)),
    maybe(st.integers(0, 10**6)),
)
weights = st.floats(min_value=1e-3, max_value=1e3)
claimants = st.lists(st.builds(Claimant, weights, asks, maybe(usages)), min_size=1, max_size=20)


def divided(left: Remaining, reserve: Budget, children: list[Claimant]) -> list[Allotment] | None:
    try:
        return divide(left, reserve, children)
    except BudgetExhausted:
        return None


def given_of(resource: str, allotments: list[Allotment]) -> list[Any]:
    return [getattr(allotment.budget, resource) for allotment in allotments]


@given(lefts, asks, claimants)
def test_children_never_get_more_than_is_left_without_the_reserve(
    left: Remaining, reserve: Budget, children: list[Claimant]
) -> None:
    allotments = divided(left, reserve, children)
    assume(allotments is not None)
    assert allotments is not None
    for resource in DIVIDED:
        there, kept = getattr(left, resource), getattr(reserve, resource) or 0
        if there is not None:
            total = sum(map(Fraction, given_of(resource, allotments)))
            assert total <= max(Fraction(0), Fraction(there) - Fraction(kept)) * (1 + Fraction(1, 10**12))
            if resource != "usd":
                assert total <= there - kept


@given(lefts, asks, claimants)
def test_every_child_gets_something_of_each_limited_resource_or_none_is_spawned(
    left: Remaining, reserve: Budget, children: list[Claimant]
) -> None:
    allotments = divided(left, reserve, children)
    if allotments is None:
        with pytest.raises(BudgetExhausted) as caught:
            divide(left, reserve, children)
        assert getattr(left, caught.value.details["resource"]) is not None
        assert caught.value.details["children"] == len(children)
        return
    assert len(allotments) == len(children)
    for resource in RESOURCES:
        for amount, child in zip(given_of(resource, allotments), children, strict=True):
            asked = getattr(child.asks, resource)
            if getattr(left, resource) is None:
                assert amount == asked  # no limit above: the child's own is its limit
            else:
                assert amount > 0
                assert asked is None or amount <= asked


@given(lefts, asks, claimants)
def test_the_parent_keeps_a_step_to_go_on_with(left: Remaining, reserve: Budget, children: list[Claimant]) -> None:
    allotments = divided(left, reserve, children)
    if allotments is not None and left.steps is not None:
        assert sum(given_of("steps", allotments)) <= left.steps - max(1, reserve.steps or 0)


@given(lefts, asks, claimants)
def test_seconds_are_shared_and_not_divided(left: Remaining, reserve: Budget, children: list[Claimant]) -> None:
    allotments = divided(left, reserve, children)
    if allotments is not None and left.seconds is not None:
        free = left.seconds - (reserve.seconds or 0)
        assert given_of("seconds", allotments) == [min(free, child.asks.seconds or math.inf) for child in children]


@given(lefts, asks, claimants)
def test_only_a_child_that_asks_for_more_than_its_share_is_told_so(
    left: Remaining, reserve: Budget, children: list[Claimant]
) -> None:
    allotments = divided(left, reserve, children)
    for child, allotment in zip(children, allotments or [], strict=False):
        less = [
            resource
            for resource in RESOURCES
            if getattr(child.asks, resource) is not None
            and getattr(allotment.budget, resource) < getattr(child.asks, resource)
        ]
        assert list(allotment.clamped) == less


@given(st.integers(1, 10**9), st.lists(st.integers(1, 50), min_size=2, max_size=10))
def test_shares_follow_the_weights(tokens: int, parts: list[int]) -> None:
    allotments = divided(Remaining(tokens=tokens), Budget(), [Claimant(weight=part) for part in parts])
    for part, allotment in zip(parts, allotments or [], strict=False):
        assert allotment.budget.tokens == tokens * part // sum(parts)


def shares(left: Remaining, *children: Claimant, reserve: Budget | None = None) -> list[Budget]:
    return [allotment.budget for allotment in divide(left, reserve or Budget(), children)]


def test_equal_children_of_a_round_budget_get_equal_parts() -> None:
    left = Remaining(seconds=60, tokens=1000, usd=1.0, steps=21, calls=40)
    found = shares(left, *[Claimant()] * 4, reserve=Budget(seconds=10, tokens=200, usd=0.2))
    assert found == [Budget(seconds=50, tokens=200, usd=0.2, steps=5, calls=10)] * 4


@given(st.integers(1, 40), st.integers(1, 10**6))
def test_equal_shares_of_dollars_are_equal_and_an_ask_for_just_that_is_not_clamped(children: int, cents: int) -> None:
    there = Remaining(usd=cents * children / 100)
    found = divide(there, Budget(), [Claimant(asks=Budget(usd=cents / 100))] * children)
    assert found == [Allotment(Budget(usd=cents / 100))] * children


@pytest.mark.parametrize("tokens", [2**53 + 1, 2**62 + 1, 2**63 - 1])
def test_the_largest_budgets_are_divided_to_the_last_token_and_not_beyond(tokens: int) -> None:
    for children in (1, 2, 3):
        found = shares(Remaining(tokens=tokens), *[Claimant()] * children)
        assert tokens - children < sum(budget.tokens or 0 for budget in found) <= tokens


def test_without_a_limit_a_child_has_what_it_asks_for() -> None:
    assert shares(Remaining(), Claimant(), Claimant(asks=Budget(tokens=7))) == [Budget(), Budget(tokens=7)]


def test_what_a_child_does_not_ask_for_is_not_shared_out_again() -> None:
    modest, other = shares(Remaining(tokens=100), Claimant(asks=Budget(tokens=1)), Claimant())
    assert (modest.tokens, other.tokens) == (1, 50)


def test_shares_follow_what_each_agent_was_seen_to_use() -> None:
    heavy, light = Budget(tokens=900, calls=1), Budget(tokens=100, calls=3)
    left = Remaining(tokens=10_000, calls=40)
    first, second = shares(left, Claimant(usage=heavy), Claimant(usage=light))
    assert (first.tokens, second.tokens) == (9000, 1000)
    assert (first.calls, second.calls) == (10, 30)


def test_where_nothing_is_known_of_an_agent_it_counts_as_the_mean_of_the_others() -> None:
    known = [Claimant(usage=Budget(tokens=100)), Claimant(usage=Budget(tokens=300))]
    found = shares(Remaining(tokens=600), *known, Claimant())
    assert [budget.tokens for budget in found] == [100, 300, 200]
    found = shares(Remaining(tokens=600, usd=3.0), *known, Claimant())
    assert [budget.usd for budget in found] == [1.0, 1.0, 1.0]  # of this nothing is known of anybody


def test_weights_count_on_top_of_usage() -> None:
    used = Budget(tokens=100)
    found = shares(Remaining(tokens=400), Claimant(weight=3, usage=used), Claimant(usage=used))
    assert [budget.tokens for budget in found] == [300, 100]


@pytest.mark.parametrize(
    ("left", "reserve", "resource"),
    [
        (Remaining(seconds=5), Budget(seconds=5), "seconds"),
        (Remaining(seconds=5), Budget(seconds=50), "seconds"),
        (Remaining(tokens=2), Budget(), "tokens"),
        (Remaining(tokens=100), Budget(tokens=98), "tokens"),
        (Remaining(usd=0.0), Budget(), "usd"),
        (Remaining(steps=3), Budget(), "steps"),
        (Remaining(calls=0), Budget(), "calls"),
    ],
)
def test_three_children_of_too_little_are_refused_with_the_resource_and_what_to_do(
    left: Remaining, reserve: Budget, resource: str
) -> None:
    with pytest.raises(BudgetExhausted, match="Raise it, spawn fewer, or lower the reserve") as caught:
        divide(left, reserve, [Claimant()] * 3)
    assert caught.value.details["resource"] == resource
    assert resource in caught.value.message


def test_no_children_take_nothing() -> None:
    assert divide(Remaining(tokens=0, seconds=0), Budget(), []) == []
