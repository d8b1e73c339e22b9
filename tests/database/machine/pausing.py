"""Moves of pauses: of a task, an agent, a queue or a tenant, and of the sweep that brings back what was put off."""

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from agent_tasks.store.pausing import FAR
from agent_tasks.sweeps import pauses
from agent_tasks.transitions.put_off import bring_back, ended, ring_again
from tests.database import query
from tests.database.machine.machine import Machine, any_one, pick

NAMES = {"agent": "echo", "queue": "agents", "tenant": "acme"}
LEFT = f"""
    SELECT FROM agent_tasks.tasks WHERE finished_at IS NULL AND (put_off_by IS NOT NULL OR due_at > {FAR})
    UNION ALL SELECT FROM agent_tasks.pauses WHERE ended_at IS NULL OR released_at IS NULL
"""


class Pausing(Machine):
    @precondition(lambda self: self.living)
    @rule(which=any_one, kind=st.sampled_from(["task", "task", "agent", "queue", "tenant"]))
    def pause(self, which: int, kind: str) -> None:
        target = (kind, NAMES.get(kind) or str(pick(self.living, which).id))
        if target not in self.pauses:
            self.client.pause(**{target[0]: target[1]})
            self.pauses.append(target)

    @precondition(lambda self: self.pauses)
    @rule(which=any_one)
    def unpause(self, which: int) -> None:
        """No sweep has come by yet."""
        self.end_pause(pick(self.pauses, which))

    @rule()
    def sweep_of_pauses(self) -> None:
        pauses.run_once(self.client)

    @rule(published=st.booleans())
    def sweep_of_pauses_dies(self, published: bool) -> None:
        """After the first task of each pause, with its bell or without."""
        with self.client.database.connection() as connection:
            for pause_id in ended(connection):
                rows = ring_again(connection, pause_id, limit=1, ring_seconds=600)
                if published:
                    self.client.publish(rows)
                elif not rows:
                    bring_back(connection, pause_id, limit=1)

    @precondition(lambda self: self.pauses)
    @rule()
    def all_pauses_end(self) -> None:
        self.nothing_is_lost()

    def teardown(self) -> None:
        self.nothing_is_lost()

    def nothing_is_lost(self) -> None:
        """What was put off is rung, or comes due as it would have."""
        for target in list(self.pauses):
            self.end_pause(target)
        while pauses.run_once(self.client):
            pass
        assert query(self.client, LEFT) == []
