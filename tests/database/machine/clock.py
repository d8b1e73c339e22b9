"""Moves of the clock, and of the sweeps that look at it."""

from datetime import datetime

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from agent_tasks.sweeps import orphans, pauses, timers
from tests import database
from tests.database import query
from tests.database.machine import model, trees
from tests.database.machine.machine import Machine, any_one, pick
from tests.database.machine.model import Task, Waits


class Clock(Machine):
    @precondition(lambda self: self.some("running"))
    @rule(which=any_one)
    def lease_lapses(self, which: int) -> None:
        """Its worker has died, or is only slow: it, another worker or the sweep may come first."""
        self.lapse(pick(self.some("running"), which))

    @rule(which=any_one, undoes=st.booleans(), times=st.sampled_from([1, 1, model.POISON_CRASHES]))
    def workers_die(self, which: int, undoes: bool, times: int) -> None:
        """And the sweep takes back what they held."""
        for _ in range(times):
            self.lapse(self.worker(which, undoes=undoes and any(task.ending for task in self.some("pending"))))
            self.client.publish(database.swept(self.client))
            lapsed = [task for task in self.some("running") if task.due]
            for task in lapsed:
                task.expire()
            trees.join(lapsed)

    def lapse(self, task: Task) -> None:
        database.lapse(self.client, task.id)
        task.due = True

    @precondition(lambda self: self.some("waiting"))
    @rule(which=any_one, reserve=st.booleans(), noticed=st.booleans())
    def what_it_waits_for_by_the_clock_comes(self, which: int, reserve: bool, noticed: bool) -> None:
        """A timer, a retry, a timeout, or the `reserve` of a parent."""
        parents = [t for t in self.some("waiting") if t.waits == Waits("children") and t.budget.seconds]
        task = pick(parents if reserve and parents else self.some("waiting"), which)
        if database.row_of(self.client, task.id)["due_at"] is not None:
            database.fall_due(self.client, task.id)
            task.due = True
        if noticed:
            due = [task for task in self.some("waiting") if task.due and not self.paused(task)]
            moved = [task for task in due if task.stood and task.waits and task.waits.kind in ("signal", "children")]
            untils = {task.id: self.until(task) for task in moved}
            pauses.run_once(self.client)
            timers.run_once(self.client)
            for task in moved:
                assert self.until(task) > untils[task.id], "its time-out has not moved"
                task.due = task.stood = False
                due.remove(task)
            parents = [task for task in due if task.waits == Waits("children")]
            for task in due:
                if task not in parents:
                    task.wake()
            trees.call_in(parents)

    def until(self, task: Task) -> datetime:
        """When what it waits for is over, whether it is one wait or those within its step."""
        row = database.row_of(self.client, task.id)
        return datetime.fromisoformat(row["waiting_for"]["until"])

    @precondition(lambda self: any(t.budget.seconds for t in self.some("running")))
    @rule(which=any_one)
    def seconds_are_over(self, which: int) -> None:
        task = pick([t for t in self.some("running") if t.budget.seconds], which)
        query(
            self.client, "UPDATE agent_tasks.tasks SET claimed_at = claimed_at - interval '2 h' WHERE id = %s", task.id
        )
        task.over_time = True

    @precondition(lambda self: self.some("pending", "waiting"))
    @rule(which=any_one)
    def nobody_serves_it_for_its_ttl(self, which: int) -> None:
        task = pick(self.some("pending", "waiting"), which)
        query(
            self.client,
            "UPDATE agent_tasks.tasks SET pending_since = clock_timestamp() - interval '2 d' WHERE id = %s",
            task.id,
        )
        watched = (
            "UPDATE agent_tasks.watches SET since = clock_timestamp() - interval '1 d', last_at = clock_timestamp()"
        )
        query(self.client, watched)
        pauses.run_once(self.client)
        orphans.run_once(self.client)
        if self.paused(task):
            served = "UPDATE agent_tasks.tasks SET pending_since = clock_timestamp() WHERE id = %s"
            query(self.client, served, task.id)
        elif task.status == "pending":
            task.abandon()
            trees.join([task, *trees.cancel_below(task)])
