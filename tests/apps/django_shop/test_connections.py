"""Connections of Django's around steps and calls."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import pytest
from asgiref.sync import sync_to_async
from django.db import OperationalError, connection, transaction
from orders.agents import pid
from orders.models import Order

import agent_tasks
from agent_tasks.contrib.django.connections import kept_fresh, kept_fresh_for_async

T = TypeVar("T")


@pytest.fixture(autouse=True)
def database(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """The test database, in which tests commit: one that is in a transaction would keep its connection."""
    with django_db_blocker.unblock():
        yield
        Order.objects.all().delete()
        connection.close()


def in_thread(call: Callable[[], T]) -> T:
    """What a call returns in a thread of its own, whose connections are closed after it."""
    found: list[T] = []

    def run() -> None:
        try:
            found.append(call())
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    (answer,) = found
    return answer


def end_session(number: int) -> None:
    """End a session, and return when it is gone."""
    with agent_tasks.default().database.connection() as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [number])


def test_code_begins_with_a_connection_that_answers() -> None:
    def work() -> tuple[int, int]:
        with kept_fresh():
            first = pid()
        end_session(first)
        with kept_fresh():
            return first, pid()

    first, second = in_thread(work)
    assert first != second


def test_without_it_the_connection_is_found_to_be_dead_by_a_query() -> None:
    def work() -> bool:
        end_session(pid())
        try:
            pid()
        except OperationalError:
            return True
        return False

    assert in_thread(work)


def test_a_call_within_a_step_begins_anew_where_the_connection_died_in_the_step() -> None:
    def work() -> tuple[int, int]:
        with kept_fresh():
            first = pid()
            end_session(first)
            with kept_fresh():
                return first, pid()

    first, second = in_thread(work)
    assert first != second


def test_a_connection_over_its_age_is_left_behind_by_no_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connection.settings_dict, "CONN_MAX_AGE", 0)

    def work() -> bool:
        with kept_fresh():
            pid()
        return connection.connection is None

    assert in_thread(work)


def test_a_call_cuts_off_nothing_that_its_step_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connection.settings_dict, "CONN_MAX_AGE", 0)
    Order.objects.bulk_create([Order(item=str(number)) for number in range(10)])

    def work() -> list[str]:
        found = []
        with kept_fresh():
            for order in Order.objects.order_by("pk").iterator(chunk_size=3):
                with kept_fresh():
                    found.append(Order.objects.get(pk=order.pk).item)
        return found

    assert in_thread(work) == [str(number) for number in range(10)]


def test_a_transaction_goes_on_over_calls() -> None:
    def work() -> int:
        with kept_fresh(), transaction.atomic():
            Order.objects.create(item="tea")
            with kept_fresh():
                found = Order.objects.count()
            transaction.set_rollback(True)
        return found

    assert in_thread(work) == 1
    assert not Order.objects.exists()


def test_async_code_begins_with_a_connection_that_answers_in_the_thread_of_its_orm() -> None:
    async def work() -> tuple[int, int]:
        async with kept_fresh_for_async():
            first = await sync_to_async(pid)()
        await asyncio.to_thread(end_session, first)
        async with kept_fresh_for_async():
            second = await sync_to_async(pid)()
            await sync_to_async(lambda: connection.close())()
            return first, second

    first, second = asyncio.run(work())
    assert first != second


def test_async_code_that_ends_leaves_the_connection_to_that_which_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connection.settings_dict, "CONN_MAX_AGE", 0)

    async def work() -> tuple[int, int, Any]:
        async with kept_fresh_for_async():
            first = await sync_to_async(pid)()
            async with kept_fresh_for_async():
                pass
            second = await sync_to_async(pid)()
        return first, second, await sync_to_async(lambda: connection.connection)()

    first, second, after = asyncio.run(work())
    assert first == second
    assert after is None


def test_async_code_that_uses_no_orm_never_goes_to_its_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent_tasks.contrib.django.connections.sync_to_async", None)

    async def work() -> bool:
        async with kept_fresh_for_async():
            return True

    assert asyncio.run(work())
