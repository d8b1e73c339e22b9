"""Histories: whatever happens to a task in whatever order, its record stays whole."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent_tasks import AgentTasks, ErrorInfo, ErrorType, TaskSnapshot
from agent_tasks.database import Connection
from agent_tasks.errors import LeaseLost
from agent_tasks.transitions import ledger, spend
from agent_tasks.transitions.acknowledge import acknowledge
from agent_tasks.transitions.cancel import cancel
from agent_tasks.transitions.claim import Claim
from agent_tasks.transitions.complete import complete
from agent_tasks.transitions.fail import fail
from agent_tasks.transitions.release import release
from agent_tasks.transitions.retry import retry
from agent_tasks.transitions.ring import ring
from agent_tasks.transitions.wake import wake
from tests.database import Row, all_of, commit, fall_due, lapse, submitted, swept, try_claim

BROKEN = ErrorInfo(type=ErrorType.STEP_FAILED, message="m")
SPENT = ("spent_seconds", "spent_tokens", "spent_usd", "spent_steps", "spent_calls")
ONLY_GROW = (*SPENT, "version", "event_seq", "run", "step_number")
VISIBLE = (
    "status",
    "step",
    "step_number",
    "attempt",
    "progress",
    "waiting_for",
    "result",
    "partial",
    "error",
    "worker",
)


class Walk:
    """One task, and every claim that was ever taken of it: stale ones try to write, too."""

    def __init__(self, client: AgentTasks) -> None:
        self.client = client
        self.id: UUID = submitted(client)
        self.claims: list[Claim] = []
        self.before = all_of(client, self.id)

    def claim(self) -> None:
        if taken := try_claim(self.client, self.id):
            self.claims.append(taken)

    def go_on(self) -> None:
        """The step is committed and the same worker goes on: its claim now stands for the next step."""
        if self.claims:
            with self._connection() as connection:
                row = commit(connection, self.claims[-1], in_place=True)
                self.claims[-1].step_number = row["step_number"]

    def lapse(self) -> None:
        if self.before["tasks"][0]["status"] == "running":
            lapse(self.client, self.id)

    def oversleep(self) -> None:
        """The lease is over and nobody noticed: the worker may come back first."""
        if self.before["tasks"][0]["status"] == "running":
            fall_due(self.client, self.id)

    def fall_due(self) -> None:
        if self.before["tasks"][0]["status"] in ("pending", "waiting"):
            fall_due(self.client, self.id)

    def act(self, write: Callable[[Connection, Claim], Any]) -> None:
        for taken in self.claims[-2:]:
            with self._connection() as connection:
                write(connection, taken)

    def sweep(self, run: Callable[[Connection], Any]) -> None:
        with self._connection() as connection:
            run(connection)

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        with self.client.database.connection() as connection:
            try:
                yield connection
            except LeaseLost:
                return

    def check(self) -> None:
        now = all_of(self.client, self.id)
        old, row = self.before["tasks"][0], now["tasks"][0]
        assert [event["seq"] for event in now["events"]] == list(range(1, row["event_seq"] + 1))
        assert now["events"][: len(self.before["events"])] == self.before["events"]
        assert now["checkpoints"][: len(self.before["checkpoints"])] == self.before["checkpoints"]
        assert [c["step_number"] for c in now["checkpoints"]] == list(range(row["step_number"]))
        assert row["spent_steps"] == row["step_number"]
        for name in ONLY_GROW:
            assert row[name] >= old[name], name
        if any(row[name] != old[name] for name in (*VISIBLE, "event_seq")):
            assert row["version"] > old["version"]
        if old["finished_at"] is not None:
            told = {} if row["acknowledged_at"] == old["acknowledged_at"] else {"version": old["version"] + 1}
            assert row == {**old, **told, "acknowledged_at": row["acknowledged_at"]}
        assert len(now["events"]) < 3 or [e["type"] for e in now["events"]].count("finished") == (
            row["finished_at"] is not None
        )
        TaskSnapshot.from_row(self.client.find_row(self.id))
        self.before: dict[str, list[Row]] = now


MOVES: dict[str, Callable[[Walk], None]] = {
    "claim": Walk.claim,
    "claim again": Walk.claim,
    "go on": Walk.go_on,
    "lapse": Walk.lapse,
    "oversleep": Walk.oversleep,
    "fall due": Walk.fall_due,
    "hand over": lambda w: w.act(commit),
    "charge": lambda w: w.act(lambda c, t: spend.charge(c, t, tokens=3, usd=0.1)),
    "partial": lambda w: w.act(lambda c, t: spend.keep_partial(c, t, '"half"')),
    "progress": lambda w: w.act(lambda c, t: spend.show_progress(c, t, '{"done": 1}')),
    "emit": lambda w: w.act(lambda c, t: spend.emit(c, t, "found", "1")),
    "call": lambda w: w.act(lambda c, t: ledger.begin_call(c, t, 0, "pay", key="k", at_most_once=False)),
    "retry": lambda w: w.act(lambda c, t: retry(c, t, BROKEN, 60.0, progress=None)),
    "release": lambda w: w.sweep(lambda c: release(c, [(t.id, t.run) for t in w.claims], ring_seconds=60)),
    "expire": lambda w: swept(w.client) and None,
    "wake": lambda w: w.sweep(lambda c: wake(c, limit=9, ring_seconds=60)),
    "ring": lambda w: w.sweep(lambda c: ring(c, limit=9, ring_seconds=60)),
}
ENDS: dict[str, Callable[[Walk], None]] = {
    "complete": lambda w: w.act(lambda c, t: complete(c, t, "1", seconds=0, progress=None)),
    "fail": lambda w: w.act(lambda c, t: fail(c, t, BROKEN)),
    "cancel": lambda w: w.sweep(lambda c: cancel(c, w.id, ErrorInfo(type=ErrorType.CANCELLED, message="m"))),
    "acknowledge": lambda w: w.sweep(lambda c: acknowledge(c, w.id)),
}
walks = st.tuples(
    st.lists(st.sampled_from(sorted(MOVES)), min_size=4, max_size=25),
    st.lists(st.sampled_from(sorted({**MOVES, **ENDS})), max_size=8),
)


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(walk=walks)
def test_any_sequence_of_transitions_leaves_a_whole_record(
    client: AgentTasks, walk: tuple[list[str], list[str]]
) -> None:
    task = Walk(client)
    for name in [*walk[0], *walk[1]]:
        {**MOVES, **ENDS}[name](task)
        task.check()


@pytest.mark.parametrize("then", ["expire", "claim", "release", "cancel", "fail"])
def test_a_worker_that_overslept_its_lease_and_went_on_gives_no_time_back(client: AgentTasks, then: str) -> None:
    task = Walk(client)
    for name in ("claim", "lapse", "go on", then):
        {**MOVES, **ENDS}[name](task)
        task.check()
    assert task.before["tasks"][0]["spent_seconds"] >= 0


def test_the_events_of_a_task_tell_its_story(client: AgentTasks) -> None:
    task = Walk(client)
    for name in ("claim", "emit", "retry", "fall due", "wake", "claim", "hand over", "claim", "lapse", "expire"):
        MOVES[name](task)
        task.check()
    task.claim()
    ENDS["complete"](task)
    task.check()
    told = [event["type"] for event in task.before["events"]]
    assert told == [
        "submitted", "dispatched", "claimed", "found", "retried", "dispatched", "claimed", "committed", "dispatched",
        "claimed", "expired", "dispatched", "claimed", "committed", "finished",
    ]  # fmt: skip
    assert json.dumps([event["data"] for event in task.before["events"]])
