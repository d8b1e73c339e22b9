"""A Celery app of a team's, with tasks of its own and an agent beside them, and `install` unless SHOP_ALONE is set."""

import asyncio
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

from celery import Celery, current_app, shared_task, signals
from celery.exceptions import SoftTimeLimitExceeded

from agent_tasks import Agent, Context, Done, InvalidInput, Next, Retry, SyncContext, agent, default
from tests.agents import note

broker = os.environ["SHOP_BROKER"]
app: Any = Celery("shop", broker=broker, backend=broker)
app.conf.update(
    task_default_queue="shop",
    task_acks_late=True,
    task_time_limit=int(os.environ.get("SHOP_TIME_LIMIT", 0)) or None,
    broker_connection_retry_on_startup=True,
    broker_transport_options={
        "visibility_timeout": 2,
        "unacked_restore_interval": 0.2,
        "unacked_restore_throttle": 1,
        **json.loads(os.environ.get("SHOP_OPTIONS", "{}")),
    },
    worker_prefetch_multiplier=1,
)
if not os.environ.get("SHOP_ALONE"):
    from agent_tasks.celery import install

    install(app)


if "SHOP_BREAKS" in os.environ:  # our part fails as it begins, where its runtime is
    from agent_tasks.engine.process.runtime import Runtime

    def fail(self: Runtime, slots: int) -> None:
        raise RuntimeError("can't start new thread")

    Runtime.start = fail


if taken := os.environ.get("SHOP_TAKES"):

    @app.task(name=taken)
    def sold() -> None:
        """Be a task of the shop's under the name of a step."""


@app.task
def invoice(folder: str, order: int) -> str:
    note(folder, f"invoice {order}")
    return f"invoice {order}"


@shared_task
def mail(folder: str, order: int) -> None:
    note(folder, f"mail {order}")


@app.task
def pack(folder: str, seconds: float) -> None:
    note(folder, "packing")
    time.sleep(seconds)
    note(folder, "packed")


@app.task(ignore_result=True)
def price(folder: str, order: int) -> tuple[str, int]:
    note(folder, f"price {order}")
    return "price", order


@app.task(bind=True, max_retries=3)
def fickle(self: Any, folder: str) -> int:
    """Succeed at the second try, as Celery counts them."""
    note(folder, f"fickle {self.request.retries}")
    if not self.request.retries:
        raise self.retry(countdown=0.1)
    return int(self.request.retries)


@app.task
def decline(folder: str, order: int) -> None:
    note(folder, f"decline {order}")
    raise Declined(order)


class Declined(Exception):
    """An error of the shop's own."""


@app.task
def wait_for(folder: str, name: str) -> str:
    """Return when the file `name` is there."""
    note(folder, f"waits for {name}")
    while not os.path.exists(f"{folder}/{name}"):
        time.sleep(0.02)
    return name


def send_mail(folder: str, order: int) -> str:
    return str(mail.delay(folder, order).id)


def send_invoice(folder: str, order: int) -> str:
    return str(invoice.delay(folder, order).id)


orders = Agent("shop_orders")


@orders.step
def bill(ctx: SyncContext, folder: str, order: int) -> Any:
    mail.delay(folder, order)  # pyright: ignore[reportFunctionMemberAccess]
    return Next(ship, folder=folder, order=order)


@orders.step
async def ship(ctx: Context, folder: str, order: int) -> Any:
    mail.delay(folder, order + 1)  # pyright: ignore[reportFunctionMemberAccess]
    await ctx.call(send_mail, folder, order + 2)
    await ctx.call(send_invoice, folder, order)
    return Done(order)


@app.task
def run_a_loop(seconds: float) -> str:
    """Run a loop of its own, as a task does that calls async code."""

    async def wait() -> str:
        await asyncio.sleep(seconds)
        return "looped"

    return asyncio.run(wait())


@agent("shop_sender")
async def send_some(ctx: Context, folder: str) -> Any:
    """Send tasks that end in several ways, two of them at once."""
    both = await asyncio.gather(ctx.task(price, folder, 1), ctx.task(invoice.s(folder).set(queue="shop"), order=2))
    tries = await ctx.task(fickle, folder)
    try:
        await ctx.task(decline, folder, 3)
    except Declined as error:
        return [*both, tries, error.args]


@agent("shop_stubborn", retry=Retry(attempts=2, base=0))
def decline_twice(ctx: SyncContext, folder: str) -> Any:
    return ctx.task(decline, folder, 4)


@agent("shop_parked")
async def send_and_wait(ctx: Context, folder: str, name: str) -> Any:
    note(folder, f"begins {name}")
    return await ctx.task(wait_for, folder, name)


@agent("shop_hasty")
async def send_and_lose_patience(ctx: Context, folder: str) -> Any:
    return await ctx.using(timeout=0.2).task(wait_for, folder, "never")


patient = Agent("shop_patient")


@patient.step
async def idle(ctx: Context, folder: str) -> Any:
    """Wait on the loop until the file `go` is there."""
    note(folder, "idles")
    while not os.path.exists(f"{folder}/go"):
        await asyncio.sleep(0.02)
    return Next(still, folder=folder)


@patient.step
def still(ctx: SyncContext, folder: str) -> Any:
    return Done(ctx.call(len, folder))


def never_return() -> None:
    time.sleep(3600)


@agent("shop_endless")
async def call_without_end(ctx: Context, folder: str) -> None:
    note(folder, "calls")
    await ctx.call(never_return)


@app.task
def add(one: int, other: int) -> int:
    return one + other


@app.task
def total(numbers: list[int]) -> int:
    return sum(numbers)


@app.task(bind=True, autoretry_for=(ValueError,), retry_backoff=False, default_retry_delay=0.01, max_retries=2)
def second_time(task: Any) -> int:
    if task.request.retries == 0:
        raise ValueError("not yet")
    return int(task.request.retries)


@app.task(bind=True)
def about_itself(task: Any) -> list[Any]:
    """Tell what a task of the shop's knows of itself, and how a process that it forks takes SIGTERM."""
    request, reading, writing = task.request, *os.pipe()
    if (pid := os.fork()) == 0:
        os.write(writing, b"default" if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL else b"as before")
        os._exit(0)
    os.waitpid(pid, 0)
    terms = (task.acks_late, task.ignore_result, task.rate_limit, task.serializer, task.send_events, task.track_started)
    return [
        *terms,
        request.timelimit,
        request.delivery_info["routing_key"],
        request.parent_id,
        request.retries,
        os.read(reading, 100).decode(),
    ]


@app.task(soft_time_limit=0.2)
def too_slow() -> str:
    try:
        time.sleep(20)
    except SoftTimeLimitExceeded:
        return "told so"
    return "slept"


@app.task
def hold(folder: str) -> str:
    """Run until the file `go` is there, whichever worker it is."""
    note(folder, "holds")
    while not os.path.exists(f"{folder}/go"):
        time.sleep(0.02)
    note(folder, "held")
    return "held"


@app.task
def process_id() -> int:
    return os.getpid()


@app.task
def path_of_bells() -> str:
    return default().bells.path


@app.task
def install_late(name: str) -> str:
    """Call install where no app can be installed any more; return what is said to that, if anything."""
    from agent_tasks.celery import install

    try:
        install(app if name == app.main else Celery(name, set_as_current=False))
    except InvalidInput as refused:
        return refused.message
    return ""


@signals.task_prerun.connect
@signals.task_postrun.connect
@signals.task_success.connect
@signals.task_retry.connect
def heard(sender: Any = None, signal: Any = None, **_: Any) -> None:
    if (folder := os.environ.get("SHOP_HEARS")) and sender is not None:
        note(folder, f"{signal.name} {getattr(sender, 'name', sender)}")


slow_step = Agent("shop_slow")


@slow_step.step
def sleep_for(ctx: SyncContext, seconds: float) -> Any:
    time.sleep(seconds)
    return Done("slept")


held = Agent("shop_held")


@held.step
def hold_on(ctx: SyncContext, folder: str) -> Any:
    """Run until the file `go` is there, whichever worker it is."""
    try:
        ctx.call(hold, folder)
    finally:
        if not os.path.exists(f"{folder}/go"):
            raise RuntimeError("the transaction is open")
    return Done("held")


deadly = Agent("shop_deadly")


@deadly.step
def die_once(ctx: SyncContext, folder: str) -> Any:
    """Kill the process the first time, and then tell what the current app is."""
    if not os.path.exists(f"{folder}/died"):
        note(folder, "dies")
        Path(folder, "died").touch()
        os.kill(os.getpid(), 9)
    return Done([str(current_app.main), add.delay(1, 1).get(timeout=20, disable_sync_subtasks=False)])
