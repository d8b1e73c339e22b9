"""The shop with its workers: tasks of its own and of its agents, beside each other.

Run by `pytest live.py` where a worker and a beat of the shop's run on the database that the settings name.
"""

import django

django.setup()

from django.db import connection, transaction  # noqa: E402
from django.test import Client  # noqa: E402
from orders.models import Event, Order, Task  # noqa: E402
from orders.tasks import send_invoice  # noqa: E402

import agent_tasks  # noqa: E402
from agent_tasks import aio  # noqa: E402
from agent_tasks.contrib.django import submit  # noqa: E402
from tests.eventually import eventually  # noqa: E402

OTHERS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid = ANY (%s)"


def place(item: str) -> tuple[Order, agent_tasks.TaskHandle]:
    answer = Client().get("/orders/", {"item": item}).json()
    return Order.objects.get(pk=answer["order"]), agent_tasks.get(answer["task"])


def test_an_order_is_billed_waits_and_is_shipped_by_steps_that_use_the_orm() -> None:
    order, task = place("tea")
    eventually(lambda: task.snapshot().status == "waiting", 60)
    order.refresh_from_db()
    assert order.invoice == f"invoice {order.pk}"
    assert task.signal("packed").delivered
    assert task.result(timeout=60) == {"item": "tea", "invoice": order.invoice}
    assert Client().get(f"/orders/{order.pk}/").json() == {"status": "shipped", "task": "completed"}
    assert {*Event.objects.filter(order=order).values_list("text", flat=True)} == {"invoiced", "billed", "shipped"}


def test_an_order_that_is_rolled_back_is_never_billed() -> None:
    answer = Client().get("/orders/", {"item": "unicorn"}).json()
    _, next_one = place("coffee")
    eventually(lambda: next_one.snapshot().status == "waiting", 60)
    assert not Event.objects.filter(order_id=answer["order"]).exists()


def test_children_count_with_the_async_orm() -> None:
    Order.objects.bulk_create([Order(item=item) for item in ("cup", "cup", "pot")])
    with transaction.atomic():
        task = submit("stock", {"items": ["cup", "pot", "spoon"]})
    assert task.result(timeout=60) == 3


def test_timers_fire_by_the_sweeps_of_the_shops_own_beat() -> None:
    assert submit("nap").result(timeout=60) >= 0


def test_tasks_of_the_shop_run_by_its_routes_and_its_schedule() -> None:
    order = Order.objects.create(item="soap")
    send_invoice.delay(order.pk)  # pyright: ignore[reportFunctionMemberAccess]
    eventually(lambda: Event.objects.filter(order=order, text="invoiced").exists())
    eventually(lambda: Task.objects.filter(title__startswith="look at").exists())


def test_the_orm_lives_through_the_end_of_all_its_sessions() -> None:
    def everywhere() -> set[int]:
        tasks = [submit("sessions") for _ in range(4)]
        return {pid for task in tasks for pid in task.result(timeout=60)}

    before = everywhere()
    with connection.cursor() as cursor:
        cursor.execute(OTHERS, [list(before)])
    after = everywhere()
    assert after.isdisjoint(before)


async def submitted() -> int:
    task = await aio.submit("nap")
    return await task.result(timeout=60)


def test_an_async_caller_waits_for_a_result() -> None:
    import asyncio

    assert asyncio.run(submitted()) >= 0
