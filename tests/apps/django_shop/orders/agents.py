"""Agents of the shop: their steps use the ORM, plain and async."""

from asgiref.sync import sync_to_async
from django.db import connection, transaction

from agent_tasks import Agent, Child, ChildOutcome, Context, Done, FanOut, Next, Signal, Sleep, SyncContext, Wait
from orders.models import Event, Order
from orders.tasks import send_invoice

fulfil = Agent("fulfil", signals=["packed"])


@fulfil.step
def bill(ctx: SyncContext, order: int):
    found = Order.objects.get(pk=order)
    invoice = ctx.call(send_invoice, order)
    with transaction.atomic():
        found.invoice = invoice
        found.save()
        Event.objects.create(order=found, text="billed")
    return Wait("packed", then=ship, order=order)


@fulfil.step
async def ship(ctx: Context, order: int, signal: Signal):
    found = await Order.objects.aget(pk=order)
    found.status = "shipped"
    await found.asave()
    await ctx.call(note, order, "shipped")
    return Done({"item": found.item, "invoice": found.invoice})


def note(order: int, text: str) -> int:
    """A plain call of an async step, in a thread of the worker's."""
    return Event.objects.create(order_id=order, text=text).pk


stock = Agent("stock")


@stock.step
def ask_all(ctx: SyncContext, items: list[str]):
    return FanOut([Child("count", {"item": item}) for item in items], then=add_up)


@stock.step
def add_up(ctx: SyncContext, children: list[ChildOutcome]):
    return Done(sum(child.result for child in children))


count = Agent("count")


@count.step
async def look(ctx: Context, item: str):
    return Done(await sync_to_async(Order.objects.filter(item=item).count)())


nap = Agent("nap")


@nap.step
def lie_down(ctx: SyncContext):
    return Sleep(0.1, then=get_up)


@nap.step
async def get_up(ctx: Context):
    return Done(await Order.objects.acount())


sessions = Agent("sessions")
"""Which session of Postgres each kind of code has: the tests end these sessions."""


def pid() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return cursor.fetchone()[0]


@sessions.step
def plain(ctx: SyncContext):
    return Next(in_loop, pids=[pid()])


@sessions.step
async def in_loop(ctx: Context, pids: list[int]):
    return Done([*pids, await sync_to_async(pid)(), await ctx.call(pid)])


secret = Agent("secret", sensitive=True)


@secret.step
def keep(ctx: SyncContext, diagnosis: str):
    return Done({"diagnosis": diagnosis})
