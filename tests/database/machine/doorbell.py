"""Moves of Redis: publishes that are lost or late, and its loss."""

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from agent_tasks.doorbell.envelope import HEADER, verify
from agent_tasks.sweeps import bells, pauses
from tests.database import query
from tests.database.machine.machine import Machine, any_one
from tests.database.machine.moment import read_bells
from tests.mirrors import mirror_of


class Doorbell(Machine):
    @precondition(lambda self: self.living)
    @rule(fate=st.sampled_from(["sent", "sent", "lost", "late"]))
    def publishes_are(self, fate: str) -> None:
        self.wire.fate = fate

    @precondition(lambda self: self.wire.late)
    @rule(which=any_one)
    def a_late_publish_arrives(self, which: int) -> None:
        self.wire.deliver(which % len(self.wire.late))

    @rule()
    def redis_is_flushed(self) -> None:
        """Nothing is lost: the sweep rings for all that is pending, and what is read fills the mirror."""
        pauses.run_once(self.client)
        self.client.redis.flushall()
        self.before.mirrors.clear()
        self.wire.fate = "sent"
        query(self.client, "UPDATE agent_tasks.tasks SET due_at = clock_timestamp() WHERE status = 'pending'")
        pauses.run_once(self.client)
        bells.run_once(self.client)
        rung = [verify(message["headers"][HEADER], *self.wire.keys) for message in read_bells(self.client)]
        pending = {(task.id, task.step, task.number) for task in self.some("pending") if not self.paused(task)}
        assert {(bell.task_id, bell.step, bell.step_number) for bell in rung} == pending
        for task in self.tasks.values():
            assert self.client.get(task.id).snapshot().status == task.status
            assert mirror_of(self.client).get(task.id) is not None
