"""Live pages: what has changed on a page is sent to all who look at it, made once for those who see the same."""

import asyncio
import hashlib
import logging
import secrets
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Hashable
from contextlib import ExitStack
from time import monotonic
from uuid import UUID

from agent_tasks import metrics
from agent_tasks.client.following import is_set_within
from agent_tasks.doorbell import mirror
from agent_tasks.errors import AgentTaskError
from agent_tasks.gateway.gate import Gate
from agent_tasks.gateway.refusals import Refused
from agent_tasks.gateway.stages.authenticate import CONSOLE, authenticate
from agent_tasks.store.errors import Transient
from agent_tasks.store.queries import console

log = logging.getLogger(__name__)
FORM_TOKEN = f"token-{secrets.token_hex(16)}"
"""What stands in a page that is made for several sessions, in the place of each one's own form token."""
_PULSE_SECONDS = 0.25
"""How often Postgres is asked whether anything was committed, as long as anybody looks at any page."""
_SHARE = 0.2
"""Of one core: so much is spent on making pages again. With more of them, each is made less often."""
_OWN_REST = 0.4
"""Of the rest of a page of a task, the part after which word of the task itself ends it."""
_MOST_STREAMS = 50
"""Pages that one session may have open at a time."""
_TOLD_SECONDS = 2.0
"""A page that rests longer says so."""
_OF_TASK_SECONDS = 2.0
"""How often the page of a task is made where no word comes of the task itself: its children may have changed."""
_VERIFIED_SECONDS = 2.0
"""For how long a session that was verified is shown pages, without being verified again."""
_SIGNED_OUT = "event: signed-out\ndata: {}\n\n"
_KEEP_ALIVE = ": keep-alive\n\n"


class View:
    """A page as some people see it, made again when there is word of a change."""

    def __init__(self, hub: "Views", make: Callable[[], str], task_id: UUID | None, tenant: str) -> None:
        self._hub, self._make, self._task_id, self.tenant = hub, make, task_id, tenant
        self.readers = 0
        self.text, self.digest = "", ""
        self.has_ended = False
        """It cannot be made any more: what it shows is gone."""
        self.changed = asyncio.Condition()
        self.stirred = asyncio.Event()
        """There is word of a change."""
        self.seconds = 0.0
        """How long it took to make it, the last time."""
        self.rest = 0.0
        """For how long it is not made again."""

    async def run(self) -> None:
        """Make it again and again, until it is told to stop."""
        loop = asyncio.get_running_loop()

        def heard(_: object) -> None:
            loop.call_soon_threadsafe(self.stirred.set)

        with ExitStack() as stack:
            if self._task_id is not None:
                key = mirror.key(self._task_id)
                stack.enter_context(self._hub.gate.client.notices.listening(key, heard))
            while not self.has_ended:
                self.stirred.clear()
                seen = self._hub.pulse
                try:
                    text, self.seconds = await self._hub.gate.in_thread(lambda _: _timed(self._make))
                except Transient as error:
                    log.warning("a page of the console is behind until Postgres is back: %s", error)
                    text = self.text
                except AgentTaskError as error:  # what it shows was purged
                    log.info("a page of the console is live no more: %s", error)
                    self.has_ended, text = True, self.text
                except Exception:  # its readers are told, and come back to a new one
                    log.exception("a page of the console could not be made")
                    self.has_ended, text = True, self.text
                if text != self.text or self.has_ended:
                    async with self.changed:
                        self.text, self.digest = text, hashlib.sha256(text.encode()).hexdigest()[:16]
                        self.changed.notify_all()
                self.rest = self._hub.rest_of(self)
                if self._task_id is None:
                    await asyncio.sleep(self.rest)
                else:
                    await asyncio.sleep(self.rest * _OWN_REST)
                    await is_set_within(self.stirred, self.rest * (1.0 - _OWN_REST))
                await self._until_stirred(seen)

    async def _until_stirred(self, seen: int) -> None:
        """Wait for word; of a task, commits that are of others are waited out."""
        patience = _OF_TASK_SECONDS if self._task_id is not None else 0.0
        while not self.stirred.is_set():
            if self._hub.pulse != seen and patience <= 0:
                return
            heard = await is_set_within(self.stirred, _PULSE_SECONDS)
            patience -= 0 if heard else _PULSE_SECONDS


class Views:
    """The pages that people of one gateway look at. One look at Postgres serves all of them."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.pulse = 0
        """Grows where something was committed."""
        self._views: dict[Hashable, tuple[View, asyncio.Task[None]]] = {}
        self._watching: asyncio.Task[None] | None = None
        self._sessions: Counter[str] = Counter()
        """How many pages each session has open."""

    def rest_of(self, view: View) -> float:
        """How long a view rests after it was made: each tenant has the same part of the share, for all of its views."""
        tenants = [each.tenant for each, _ in self._views.values()]
        return max(_PULSE_SECONDS / 2, view.seconds * tenants.count(view.tenant) * len(set(tenants)) / _SHARE)

    def check_room(self, session: str | None) -> None:
        """Raise Refused (429) where a session has more pages open than it may."""
        if session is not None and self._sessions[session] >= _MOST_STREAMS:
            raise Refused(
                429,
                "too_many_pages",
                "Too many pages are open",
                f"A session may have {_MOST_STREAMS} pages of the console open at a time. Close some, then load this.",
            )

    async def pieces(
        self,
        key: Hashable,
        make: Callable[[], str],
        *,
        task_id: UUID | None,
        tenant: str,
        session: str | None,
        form_token: str,
        seen: str,
    ) -> AsyncGenerator[str]:
        """The changes of a page as server-sent events, until its reader goes, or may see it no more.

        `seen`: the id of the last that the reader has seen.
        """  # fmt: skip
        gate = self.gate
        closing = asyncio.Event()
        view = self._entered(key, make, task_id, tenant)
        if session is not None:
            self._sessions[session] += 1
        verified = sent = monotonic()
        told = 0
        try:
            with metrics.GATEWAY_STREAMS.track_inprogress(), gate.waking(closing):
                while not (closing.is_set() or gate.closing.is_set()):
                    if monotonic() - verified > _VERIFIED_SECONDS:
                        if not await self._is_good(session):
                            yield _SIGNED_OUT
                            return
                        verified = monotonic()
                    if view.text and view.digest != seen:
                        seen, text = view.digest, view.text.replace(FORM_TOKEN, form_token)
                        sent = monotonic()
                        yield f"id: {seen}\n" + "".join(f"data: {line}\n" for line in text.splitlines()) + "\n"
                    rest = round(view.rest) if view.rest > _TOLD_SECONDS else 0
                    if rest != told:
                        told, sent = rest, monotonic()
                        yield f"event: rest\ndata: {rest}\n\n"
                    if view.has_ended:
                        yield "event: end\ndata: {}\n\n"
                        return
                    has_changed = await self._has_changed(view, seen, closing, _VERIFIED_SECONDS)
                    if not has_changed and monotonic() - sent > gate.settings.gateway_keep_alive_seconds:
                        sent = monotonic()
                        yield _KEEP_ALIVE
        finally:
            self._left(key)
            if session is not None:
                self._sessions[session] -= 1
                self._sessions += Counter()  # without those that have none

    async def _is_good(self, session: str | None) -> bool:
        """Whether the session still is; while Postgres is away it stays what it was."""
        try:
            await self.gate.in_thread(lambda gate: authenticate(gate, session, CONSOLE))
        except Transient as error:
            log.warning("a session is not verified until Postgres is back: %s", error)
        except AgentTaskError as error:
            log.info("a session of the console ended: %s", error)
            return False
        return True

    async def _has_changed(self, view: View, seen: str, closing: asyncio.Event, seconds: float) -> bool:
        """Whether the page is another within these seconds, or the gateway goes."""

        async def change() -> None:
            async with view.changed:
                await view.changed.wait_for(lambda: view.has_ended or (view.text != "" and view.digest != seen))

        waits = {asyncio.ensure_future(change()), asyncio.ensure_future(closing.wait())}
        try:
            done, _ = await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()
        return bool(done)

    def _entered(self, key: Hashable, make: Callable[[], str], task_id: UUID | None, tenant: str) -> View:
        if key not in self._views:
            view = View(self, make, task_id, tenant)
            self._views[key] = view, asyncio.create_task(view.run())
        view, _ = self._views[key]
        view.readers += 1
        if self._watching is None:
            self._watching = asyncio.create_task(self._watch())
        return view

    def _left(self, key: Hashable) -> None:
        view, task = self._views[key]
        view.readers -= 1
        if view.readers == 0:
            del self._views[key]
            task.cancel()
        if not self._views and self._watching is not None:
            self._watching.cancel()
            self._watching = None

    async def _watch(self) -> None:
        """Ask Postgres again and again whether anything was committed."""
        last = ""
        while True:
            try:
                snapshot = await self.gate.in_thread(_snapshot)
            except Transient as error:
                log.warning("pages of the console are behind until Postgres is back: %s", error)
            except Exception:  # all pages wait for this task: it must outlive any surprise
                log.exception("pages of the console are behind, it is tried again")
            else:
                self.pulse += snapshot != last
                last = snapshot
            await asyncio.sleep(_PULSE_SECONDS)


def _timed(make: Callable[[], str]) -> tuple[str, float]:
    """What `make` returns, and how long it took, without what it had to wait for a thread."""
    began = monotonic()
    return make(), monotonic() - began


def _snapshot(gate: Gate) -> str:
    with gate.client.database.connection() as connection:
        return console.now(connection)["snapshot"]
