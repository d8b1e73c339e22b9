"""Moves of workers: claim, commit, hand over, wait, spawn, retry, release, end, undo."""

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from agent_tasks import Budget, BudgetExhausted, Child, FanOut
from agent_tasks.store.database import Connection
from agent_tasks.transitions.claim import Claim
from agent_tasks.transitions.heartbeat import heartbeat
from agent_tasks.transitions.open_wait import OpenWait
from agent_tasks.transitions.park import take
from agent_tasks.transitions.release import release
from tests import database
from tests.database import Row
from tests.database.children import BROKEN, broken, done, end, fan, out_of_time, shortened, spawned_of, undo
from tests.database.machine import trees
from tests.database.machine.machine import Machine, any_one, pick
from tests.database.machine.model import Task, Waits
from tests.database.machine.writes import WRITES

mostly = st.sampled_from([True, True, False])


class Working(Machine):
    @precondition(lambda self: self.some("pending"))
    @rule(which=any_one)
    def claim(self, which: int) -> None:
        task = pick(self.some("pending"), which)
        self.answer(task.id, task.step, task.number)

    @precondition(lambda self: self.some("running"))
    @rule(which=any_one)
    def claim_by_a_second_worker(self, which: int) -> None:
        task = pick(self.some("running"), which)
        self.answer(task.id, task.step, task.number)

    @precondition(lambda self: self.messages)
    @rule(which=st.integers(min_value=0, max_value=100))
    def a_message_is_repeated(self, which: int) -> None:
        self.answer(*pick(self.messages, which))

    @precondition(lambda self: self.some("running"))
    @rule()
    def heartbeat(self) -> None:
        claims = [(task.id, self.claims[task.id].run) for task in self.some("running")]
        with self.client.database.connection() as connection:
            kept = heartbeat(connection, claims, lease_seconds=600, seconds=60)
        assert kept == {task_id: True for task_id, _ in claims}
        for task in self.some("running"):
            task.due = False

    # --- what a worker commits ------------------------------------------------------------------------------

    @rule(which=any_one, undoable=mostly, in_place=st.booleans())
    def checkpoint(self, which: int, undoable: bool, in_place: bool) -> None:
        task = self.worker(which)
        row = self.commit(task, lambda c, t: database.commit(c, t, in_place=in_place, undoable=undoable))
        if row is None:
            return
        if in_place and not self.paused(task):
            task.go_on("echo", undo=undoable)
            taken = self.claims[task.id]
            self.hold(task, replace(taken, step=row["step"], step_number=row["step_number"], row=row))
        else:
            task.hand_over("echo", undo=undoable)

    @rule(
        which=any_one, names=st.sampled_from([("a",), ("a", "b")]), every=st.booleans(), undoable=mostly,
        timeout=st.sampled_from([None, 600.0]), on_timeout=st.sampled_from([None, "late"]),
    )  # fmt: skip
    def wait(
        self, which: int, names: tuple[str, ...], every: bool, undoable: bool, timeout: float | None,
        on_timeout: str | None,
    ) -> None:  # fmt: skip
        task = self.worker(which)
        on_timeout = on_timeout if timeout else None
        options: dict[str, Any] = {"timeout": timeout, "on_timeout": on_timeout, "undoable": undoable}
        if self.commit(task, lambda c, t: database.park(c, t, *names, every=every, **options)):
            task.park(Waits("signal", names, every, on_timeout), undo=undoable)

    @rule(which=any_one, undoable=mostly)
    def sleep(self, which: int, undoable: bool) -> None:
        task = self.worker(which)
        if self.commit(task, lambda c, t: database.parked(c, t, undoable=undoable)):
            task.park(Waits("timer"), undo=undoable)

    @rule(
        which=any_one, names=st.sampled_from([(), ("a",), ("a", "b")]), every=st.booleans(),
        timeout=st.sampled_from([None, 600.0]),
    )  # fmt: skip
    def park_within(self, which: int, names: tuple[str, ...], every: bool, timeout: float | None) -> None:
        """The step itself waits, for signals or for the clock, as by `ctx.wait` and `ctx.sleep`."""
        task = self.worker(which)
        waits = Waits("signal" if names else "timer", names, every and bool(names), within=True)
        wait = self.opened(task, waits, timeout)
        if self.commit(task, lambda c, t: database.park_within(c, t, wait)):
            task.park_within(waits)

    @precondition(lambda self: any(task.awaited_within for task in self.some("running")))
    @rule(which=any_one)
    def take(self, which: int) -> None:
        """The step that was woken goes on from its own wait, if the signals for it are there."""
        task = pick([task for task in self.some("running") if task.awaited_within], which)
        assert task.awaited_within is not None
        wait = self.opened(task, task.awaited_within, None)
        ordinal = task.take()
        taken = self.write(task, lambda c, t: [each[0] for each in take(c, t, [wait], [1])])
        assert taken == ([] if ordinal is None else [ordinal])

    def opened(self, task: Task, waits: Waits, timeout: float | None) -> OpenWait:
        """The wait as the step opens it."""
        if not waits.names:
            return database.open_sleep(task.next_wait)
        return database.open_wait(task.next_wait, *waits.names, every=waits.every, timeout=timeout)

    @precondition(lambda self: len(self.tasks) < 20)
    @rule(
        which=any_one, asks=st.lists(st.sampled_from([None, 5]), min_size=1, max_size=3), undoable=mostly,
        policy=st.sampled_from(["collect", "collect", "fail"]),
    )  # fmt: skip
    def fan_out(self, which: int, asks: list[int | None], undoable: bool, policy: Any) -> None:
        task = self.worker(which)
        taken = self.claims[task.id]
        children = [Child("echo", budget=Budget(tokens=ask) if ask else None) for ask in asks]
        try:
            spawned = spawned_of(self.client, taken, FanOut(children, then="echo", on_child_failure=policy))
        except BudgetExhausted:
            return
        rows: list[Row] = []

        def spawn(connection: Connection, taken: Claim) -> Row:
            parent, rows[:] = fan(
                connection, taken, spawned.children, reserve=spawned.reserve_seconds, on_child_failure=policy,
                undoable=undoable,
            )  # fmt: skip
            return parent

        if self.commit(task, spawn):
            self.client.publish(rows)
            identity = task.identity.extended("echo") if task.identity else None
            born = [Task(child.id, child.budget, identity, index=n) for n, child in enumerate(spawned.children)]
            task.spawn(born, policy, undo=undoable)
            for child in born:
                self.tasks[child.id] = child

    @precondition(lambda self: self.some("running"))
    @rule(which=any_one)
    def retry(self, which: int) -> None:
        task = pick(self.some("running"), which)
        self.write(task, WRITES["retry"])
        task.retry()

    @precondition(lambda self: self.some("running"))
    @rule(which=any_one)
    def release(self, which: int) -> None:
        task = pick(self.some("running"), which)
        with self.client.database.connection() as connection:
            rows = release(connection, [(task.id, self.claims[task.id].run)], ring_seconds=60)
        assert [row["id"] for row in rows] == [task.id]
        self.client.publish(rows)
        task.release()

    @precondition(lambda self: any(task.suspect and not self.paused(task) for task in self.some("pending")))
    @rule(which=any_one)
    def look_into_the_quarantine(self, which: int) -> None:
        there = [task for task in self.some("pending") if task.suspect and not self.paused(task)]
        self.quarantine(pick(there, which).suspect)

    @rule(which=any_one, how=st.sampled_from(["done", "shortened", "broken", "out of time"]))
    def end(self, which: int, how: str) -> None:
        task = self.worker(which)
        if how in ("done", "shortened"):
            if not self.commit(task, lambda c, t: end(self.client, t, done if how == "done" else shortened)):
                return
            task.complete("completed" if how == "done" else "partial")
        else:
            self.write(task, lambda c, t: end(self.client, t, broken if how == "broken" else out_of_time))
            task.end("failed" if how == "broken" else "partial" if task.partial else "timeout")
        trees.join([task])

    @precondition(lambda self: any(task.ending for task in self.some("pending", "running")))
    @rule(which=any_one, fails=st.booleans())
    def undo(self, which: int, fails: bool) -> None:
        task = self.worker(which, undoes=True)
        self.write(task, lambda c, t: end(self.client, t, lambda c, t: undo(c, t, BROKEN if fails else None)))
        task.undone(fails=fails)
        trees.join([task])
