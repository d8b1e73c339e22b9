"""Deliverer: claims what is due, sends it, and writes what came of it, in one event loop and two threads."""

import asyncio
import itertools
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from time import monotonic
from typing import TypeVar

import psycopg

from agent_tasks import metrics
from agent_tasks.deployment import Deployment
from agent_tasks.store.database import Connection
from agent_tasks.store.errors import Contention, ServerAway
from agent_tasks.task.origin import Origin, through
from agent_tasks.transitions import delivery, lane
from agent_tasks.transitions.delivery import Claimed
from agent_tasks.transitions.watch import DELIVERER, watch
from agent_tasks.webhooks import schedule
from agent_tasks.webhooks.attempt import Attempts, Made, given_back, line
from agent_tasks.webhooks.lanes import FIRST, Lanes
from agent_tasks.webhooks.threads import Threads
from agent_tasks.webhooks.transport import Resolve

log = logging.getLogger(__name__)
T = TypeVar("T")
_Ends = Callable[[Connection], int]
"""Ends some of what is pending in a lane; returns how many."""

GIVEN_UP_SECONDS = 5 * 86_400.0
"""For so long nothing but failures disables an endpoint, and ends what is as old of callbacks."""
_POLL_SECONDS = 0.2
_GATHER_SECONDS = 0.01
"""Between two looks that find something: what comes meanwhile is claimed together."""
_POLL_PART = 5
"""How much longer the pause between two looks that find nothing is than a look takes."""
_BATCH = 200
_ENDED_AT_ONCE = 1000
_WATCH_SECONDS, WATCH_GAP_SECONDS = 5.0, 60.0
_FORGET_EACH = 720
_AWAY_SECONDS = 1.0
_WRITTEN_TRIES = 60
_LEAVE_SECONDS = 5.0
"""How long requests may go on when the process goes."""


class Deliverer:
    """Delivers for one deployment until it is told to stop. Any number of them share the work."""

    def __init__(self, deployment: Deployment, *, resolve: Resolve | None = None) -> None:
        settings = deployment.settings
        self._scale = settings.webhook_retry_scale
        self._lease_seconds = delivery.LEASE_TIMES * settings.webhook_seconds
        self._threads = Threads(deployment, 3)
        self._attempts = Attempts(deployment, self._threads, resolve)
        self._lanes = Lanes()
        self._ending: set[str] = set()
        """Lanes of which what is pending is ended, one after the other: it takes one thread."""
        self._in_turn = asyncio.Lock()
        self._made: asyncio.Queue[Made] = asyncio.Queue()
        self._sending: set[asyncio.Task[None]] = set()
        self._others: set[asyncio.Task[None]] = set()
        self._woken = asyncio.Event()
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Claim no more, give what is being sent a few seconds, write what came of it, and end."""
        self._stopping.set()
        self._woken.set()

    async def run(self) -> None:
        """Deliver until `stop`."""
        working = [asyncio.create_task(each) for each in (self._claim(), self._write(), self._watch())]
        try:
            done, _ = await asyncio.wait(working, return_when=asyncio.FIRST_COMPLETED)
            for each in done:
                each.result()  # one that is not told to stop ends by an error alone
            await self._end_sending()
            written = asyncio.create_task(self._made.join())
            await asyncio.wait([written, working[1]], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in working:
                each.cancel()
            self._threads.shutdown()

    async def _end_sending(self) -> None:
        if self._sending:
            await asyncio.wait(self._sending, timeout=_LEAVE_SECONDS)
        for sending in self._sending:
            sending.cancel()
        await asyncio.gather(*self._sending, *self._others, return_exceptions=True)

    async def _watch(self) -> None:
        """Note now and then that a deliverer looks, for `doctor` and health checks, and each hour forget dead lanes."""
        for number in itertools.count():
            await self._run(lambda connection: watch(connection, DELIVERER, gap_seconds=WATCH_GAP_SECONDS))
            if number % _FORGET_EACH == 0:
                await self._run(lane.forget)
            await asyncio.sleep(_WATCH_SECONDS)

    async def _claim(self) -> None:
        while not self._stopping.is_set():
            self._woken.clear()
            began = monotonic()
            claim = partial(
                delivery.claim,
                room=self._lanes.room,
                usual_room=FIRST,
                tenant_room=self._lanes.tenant_room,
                usual_tenant_room=self._lanes.usual_tenant_room,
                limit=self._lanes.left,
                failing=schedule.FAILING,
                lease_seconds=self._lease_seconds,
            )
            found = await self._run(claim) if self._lanes.left > 0 else None
            if found is None:
                await self._pause(_POLL_SECONDS)
                continue
            for claimed in found.claimed:
                self._begin(claimed, began)
            for name in found.over:
                self._end(name, _dropped(name))
            if not (found.claimed or found.moved):
                await self._pause(max(_POLL_SECONDS, _POLL_PART * (monotonic() - began)))
            await asyncio.sleep(_GATHER_SECONDS)

    async def _pause(self, seconds: float) -> None:
        """Wait until a delivery may be due, or there is room."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._woken.wait()

    def _begin(self, claimed: Claimed, began: float) -> None:
        self._lanes.begin(claimed["lane"], claimed["tenant"])
        metrics.DELIVERIES_IN_FLIGHT.inc()
        sending = asyncio.create_task(self._send(claimed, began))
        self._sending.add(sending)
        sending.add_done_callback(self._sending.discard)

    async def _send(self, claimed: Claimed, began: float) -> None:
        """Make one attempt, and have it written what came of it."""
        try:
            made = await self._attempts.make(claimed, began)
        except asyncio.CancelledError:
            made = given_back(claimed, "the deliverer was stopped")
        except (ServerAway, Contention) as error:
            made = given_back(claimed, f"Postgres could not be asked: {error}", delay=_AWAY_SECONDS)
        except Exception as error:  # ours: neither the lane's fault, nor to be tried for ever
            log.exception("delivery broke off: delivery=%s type=%s", claimed["id"], line(claimed["type"]))
            made = self._attempts.failed(claimed, f"it could not be made: {error!r}", is_failure=False)
        self._made.put_nowait(made)
        metrics.DELIVERIES_IN_FLIGHT.dec()
        if self._lanes.end(claimed["lane"], claimed["tenant"], accepted=made.outcome.status == "delivered"):
            self._woken.set()

    async def _write(self) -> None:
        """Write what came of attempts, those of a moment together."""
        while True:
            batch = [await self._made.get()]
            while len(batch) < _BATCH and not self._made.empty():
                batch.append(self._made.get_nowait())
            await self._keep(batch)
            for made in batch:
                metrics.DELIVERIES.labels(_LABELS[made.outcome.status]).inc()
                self._made.task_done()

    async def _keep(self, batch: Sequence[Made]) -> None:
        """Write a batch, again and again for as long as its leases last: then they are sent again."""
        written: tuple[dict[str, _Ends], int] | None = None
        for _ in range(_WRITTEN_TRIES):
            written = await self._run(lambda connection: self._written(connection, batch))
            if written is not None or self._stopping.is_set():
                break
        self._attempts.note_gone(batch)
        if written is None:
            log.error("what came of deliveries is not written, they are made again: deliveries=%d", len(batch))
            return
        over, woken = written
        for name, ends in over.items():
            self._end(name, ends)
        if over or woken:
            self._woken.set()

    def _written(self, connection: Connection, batch: Sequence[Made]) -> tuple[dict[str, _Ends], int]:
        """Write a batch; returns the lanes that are over by it, and how many deliveries are due by it."""
        batch = _moved(connection, batch)
        rows, woken = delivery.finish(connection, [made.outcome for made in batch])
        ours = {row["id"] for row in rows}
        mine = [made for made in batch if made.outcome.id in ours]
        accepted = {made.claimed["lane"] for made in mine if made.outcome.status == "delivered"}
        if accepted:
            lane.worked(connection, accepted)
        given_up = self._paused(connection, [made for made in mine if made.is_failure], accepted)
        over: dict[str, _Ends] = {}
        for made in mine:
            webhook_id, name = made.claimed["webhook_id"], made.claimed["lane"]
            if webhook_id is None and name in given_up:
                over[name] = self._given_up(name)
            if webhook_id is None or not (made.is_gone or name in given_up):
                continue
            why = "gone" if made.is_gone else "failing"
            with through(Origin(door=DELIVERER)):
                row = lane.disable(connection, webhook_id, url=made.claimed["url"], why=why)
            if row is not None:
                log.warning("endpoint disabled: webhook=%s tenant=%s why=%s", row["name"], line(row["tenant"]), why)
                over[name] = _dropped(name)
        return over, woken

    def _paused(self, connection: Connection, failed: Sequence[Made], accepted: set[str]) -> set[str]:
        """Pause lanes that fail, or ask for it; returns those that have done nothing but fail for days."""
        asked: dict[str, float] = {}
        for made in failed:
            if made.asked is not None:
                asked[made.claimed["lane"]] = max(made.asked, asked.get(made.claimed["lane"], 0.0))
        failures = Counter(made.claimed["lane"] for made in failed if made.claimed["lane"] not in accepted)
        failures |= Counter(asked.keys())  # of those that accept something, too
        if not failures:
            return set()
        rows = lane.failed(connection, failures, given_up_seconds=GIVEN_UP_SECONDS)
        pauses = {row["name"]: schedule.pause_after(row["failures"], scale=self._scale) for row in rows}
        lane.pause(connection, {name: pause for name, pause in pauses.items() if pause is not None}, asked)
        return {row["name"] for row in rows if row["is_given_up"]}

    def _given_up(self, name: str) -> _Ends:
        """End what is old in a lane of callbacks that has only failed for days: nobody else would."""
        return partial(
            delivery.give_up,
            lane=name,
            seconds=GIVEN_UP_SECONDS,
            lease_seconds=self._lease_seconds,
            limit=_ENDED_AT_ONCE,
        )

    def _end(self, name: str, ends: _Ends) -> None:
        """End what is pending in a lane, part by part, beside everything else."""
        if name in self._ending:
            return
        self._ending.add(name)

        async def end() -> None:
            try:
                async with self._in_turn:
                    while not self._stopping.is_set() and await self._run(ends):
                        pass
            finally:
                self._ending.discard(name)

        ending = asyncio.create_task(end())
        self._others.add(ending)
        ending.add_done_callback(self._others.discard)

    async def _run(self, transition: Callable[[Connection], T]) -> T | None:
        """Run a transition in a thread; None where it failed, which is logged, and after a moment."""
        try:
            return await self._threads.commit(transition)
        except (ServerAway, Contention) as error:
            log.warning("Postgres cannot be reached, or is busy; it is tried again: %s", error)
        except psycopg.Error:
            log.exception("a statement failed; it is tried again")
        with suppress(TimeoutError):
            async with asyncio.timeout(_AWAY_SECONDS):
                await self._stopping.wait()
        return None


_LABELS = {"delivered": "delivered", "failed": "failed", "dropped": "dropped", "pending": "retried"}


def _moved(connection: Connection, batch: Sequence[Made]) -> list[Made]:
    """The batch, where what an endpoint answered with 410 before it was moved is due at once where it is now."""
    gone = [made.claimed["webhook_id"] for made in batch if made.is_gone and made.claimed["webhook_id"] is not None]
    urls = {f"webhook:{id}": url for id, url in lane.urls(connection, gone).items()} if gone else {}
    return [
        replace(made, outcome=replace(made.outcome, status="pending", delay=0.0))
        if made.is_gone and urls.get(made.claimed["lane"], made.claimed["url"]) != made.claimed["url"]
        else made
        for made in batch
    ]


def _dropped(name: str) -> _Ends:
    return partial(delivery.drop, lane=name, limit=_ENDED_AT_ONCE)
