"""The combiner: requests of the same moment are answered together, each as if alone."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from agent_tasks.engine.batching import combiner as combining
from agent_tasks.engine.batching.combiner import MOST, Combiner
from agent_tasks.store.errors import Contention, ServerAway
from tests.eventually import eventually

Run = Callable[[Sequence[Any]], Sequence[Any]]


class Gated:
    """A `run` whose first call waits until it is let go, while others queue."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.batches: list[list[Any]] = []
        self.begun, self.let_go = threading.Event(), threading.Event()

    def __call__(self, requests: Sequence[Any]) -> Sequence[Any]:
        self.batches.append(list(requests))
        self.begun.set()
        assert self.let_go.wait(10)
        return self.run(requests)


def ask_while_one_runs(requests: Sequence[Any], run: Run, **options: Any) -> tuple[Gated, list["Future[Any]"]]:
    """The first request runs; all others come meanwhile, in their order."""
    gated = Gated(run)
    combiner = Combiner[Any, Any](gated, **options)
    threads = ThreadPoolExecutor(len(requests))
    futures = [threads.submit(combiner.ask, requests[0])]
    assert gated.begun.wait(10)
    for number, request in enumerate(requests[1:], 1):
        futures.append(threads.submit(combiner.ask, request))
        eventually(lambda number=number: len(combiner._waiting) == number)
    gated.let_go.set()
    threads.shutdown()
    return gated, futures


def doubled(requests: Sequence[int]) -> list[int]:
    return [2 * request for request in requests]


def test_a_request_alone_runs_at_once() -> None:
    assert Combiner[int, int](doubled).ask(4) == 8


def test_requests_that_come_while_one_runs_are_run_together_and_each_has_its_own_answer() -> None:
    gated, futures = ask_while_one_runs([1, 2, 3, 4], doubled)
    assert gated.batches == [[1], [2, 3, 4]]
    assert [future.result() for future in futures] == [2, 4, 6, 8]


def test_no_batch_has_two_requests_of_one_key_and_none_is_forgotten() -> None:
    gated, futures = ask_while_one_runs([1, 12, 22, 3, 32], doubled, key=lambda request: request % 10)
    assert gated.batches == [[1], [12, 3], [22], [32]]
    assert [future.result() for future in futures] == [2, 24, 44, 6, 64]


def test_a_batch_is_bounded() -> None:
    gated, futures = ask_while_one_runs(range(MOST + 3), doubled)
    assert [len(batch) for batch in gated.batches] == [1, MOST, 2]
    assert [future.result() for future in futures] == doubled(range(MOST + 3))


def test_who_had_company_waits_a_moment_for_more_and_who_is_alone_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    moments: list[float] = []
    combiner: Combiner[int, int]

    def wait(seconds: float) -> None:
        moments.append(seconds)
        if len(moments) == 1:  # a third comes in the moment of the second batch
            late.append(others.submit(combiner.ask, 9))
            eventually(lambda: len(combiner._waiting) == 3)

    monkeypatch.setattr(combining, "time", SimpleNamespace(sleep=wait))
    others, late = ThreadPoolExecutor(1), list["Future[Any]"]()
    gated = Gated(doubled)
    combiner = Combiner(gated, moment=0.25)
    with ThreadPoolExecutor(6) as threads:
        first = [threads.submit(combiner.ask, 1)]
        assert gated.begun.wait(10)
        for number in (2, 3):
            first.append(threads.submit(combiner.ask, number))
            eventually(lambda number=number: len(combiner._waiting) == number - 1)
        combiner._had_company = True
        gated.let_go.set()
        assert [each.result() for each in first] == [2, 4, 6]
        assert late[0].result() == 18
    others.shutdown()
    assert gated.batches == [[1], [2, 3, 9]]
    assert moments == [0.25]
    assert [combiner.ask(number) for number in (5, 6, 7)] == [10, 12, 14]
    assert moments == [0.25, 0.25]  # after the batch of three, once


def test_an_answer_may_be_an_error() -> None:
    _, futures = ask_while_one_runs([1, 2, 3], lambda rs: [KeyError(r) if r == 2 else r for r in rs])
    assert futures[0].result() == 1
    with pytest.raises(KeyError):
        futures[1].result()
    assert futures[2].result() == 3


def test_a_request_that_breaks_its_batch_harms_no_other() -> None:
    def divided(requests: Sequence[int]) -> list[int]:
        return [12 // request for request in requests]

    gated, futures = ask_while_one_runs([1, 2, 0, 3], divided)
    assert gated.batches == [[1], [2, 0, 3], [2], [0], [3]]
    assert [futures[position].result() for position in (0, 1, 3)] == [12, 6, 4]
    with pytest.raises(ZeroDivisionError):
        futures[2].result()


def test_when_postgres_is_away_all_are_told_and_none_is_run_again() -> None:
    def away(requests: Sequence[int]) -> list[int]:
        raise ServerAway("away")

    gated, futures = ask_while_one_runs([1, 2, 3], away)
    assert gated.batches == [[1], [2, 3]]
    assert all(isinstance(future.exception(), ServerAway) for future in futures)


def test_an_error_of_one_statement_is_not_taken_for_a_postgres_that_is_away() -> None:
    def cancelled(requests: Sequence[int]) -> list[int]:
        if 0 in requests:
            raise psycopg.errors.QueryCanceled("statement timeout")
        return doubled(requests)

    gated, futures = ask_while_one_runs([1, 2, 0], cancelled)
    assert gated.batches == [[1], [2, 0], [2], [0]]
    assert futures[1].result() == 4
    assert isinstance(futures[2].exception(), psycopg.errors.QueryCanceled)


def test_requests_whose_leader_was_ended_are_told_that_nobody_answered() -> None:
    def ended(requests: Sequence[int]) -> list[int]:
        if len(requests) > 1:
            raise SystemExit
        return doubled(requests)

    _, futures = ask_while_one_runs([1, 2, 3], ended)
    assert isinstance(futures[1].exception(), SystemExit)
    assert isinstance(futures[2].exception(), Contention)


class Interrupted(BaseException):
    """What a signal's handler raises, in a process whose steps run in its main thread."""


def test_a_request_that_is_interrupted_before_it_leads_passes_the_lead_on() -> None:
    combiner = Combiner[int, int](doubled)
    lead = combiner._lead

    def interrupted() -> None:
        combiner._lead = lead  # type: ignore[method-assign]
        raise Interrupted

    combiner._lead = interrupted  # type: ignore[method-assign]
    with pytest.raises(Interrupted):
        combiner.ask(1)
    assert (combiner._waiting, combiner._led) == ([], False)
    assert combiner.ask(2) == 4


def test_a_combiner_goes_on_after_its_thread_was_ended() -> None:
    def ended(requests: Sequence[int]) -> list[int]:
        if requests[0] == 1:
            raise SystemExit
        return doubled(requests)

    _, futures = ask_while_one_runs([1, 2], ended)
    assert isinstance(futures[0].exception(), SystemExit)
    assert futures[1].result() == 4


def test_many_threads_at_once_each_get_what_they_asked_for() -> None:
    combiner = Combiner[int, int](doubled, key=lambda request: request % 7)
    with ThreadPoolExecutor(32) as threads:
        assert list(threads.map(combiner.ask, range(5_000))) == doubled(range(5_000))
