"""Moves from outside: submit, signal, cancel, resume, acknowledge."""

from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from agent_tasks import Budget, BudgetExhausted, IdempotencyConflict, InvalidState
from agent_tasks.task.snapshot import budget_of
from tests.database import query
from tests.database.machine import resumes, trees
from tests.database.machine.machine import ANA, BUDGETS, Machine, any_one, pick
from tests.database.machine.model import Task


class Outside(Machine):
    @precondition(lambda self: len(self.tasks) < 12)
    @rule(
        budget=st.sampled_from(BUDGETS), named=st.booleans(), key=st.sampled_from([None, None, "k"]),
        value=st.integers(min_value=1, max_value=2),
    )  # fmt: skip
    def submit(self, budget: Budget | None, named: bool, key: str | None, value: int) -> None:
        known = self.keys.get((key, named))
        try:
            task = self.accept(budget, ANA if named else None, key=key, value=value)
        except IdempotencyConflict:
            assert known is not None
            assert known[1] != value
            return
        assert known is None or known == (task, value)
        if key:
            self.keys[key, named] = task, value

    @precondition(lambda self: len(self.tasks) < 3)
    @rule()
    def submit_in_a_transaction_that_is_rolled_back(self) -> None:
        with self.client.database.connection() as connection, connection.transaction(force_rollback=True):
            self.client.submit("echo", {"value": 1}, idempotency_key="rolled back", connection=connection)

    @precondition(lambda self: self.tasks)
    @rule(
        which=any_one, awaited=st.booleans(), name=st.sampled_from(["a", "b"]),
        signal_id=st.sampled_from([None, None, "1", "2"]),
    )  # fmt: skip
    def signal(self, which: int, awaited: bool, name: str, signal_id: str | None) -> None:
        waiting = [task for task in self.some("waiting") if awaited and task.waits and task.waits.names]
        task = pick(waiting or list(self.tasks.values()), which)
        try:
            receipt = self.client.get(task.id).signal(name, {"ok": True}, signal_id=signal_id)
        except InvalidState:
            assert not task.undecided
            return
        if not task.undecided:  # the first receipt is given again
            assert signal_id is not None
            assert task.has_had(signal_id)
            assert receipt.kept
            return
        was = task.status
        assert receipt.kept == task.receive(name, signal_id)
        assert receipt.delivered == (was != task.status)

    @precondition(lambda self: self.living)
    @rule(which=any_one)
    def cancel(self, which: int) -> None:
        task = pick(self.living, which)
        self.client.get(task.id).cancel("enough")
        trees.cancel(task)

    @precondition(lambda self: self.ended and len(self.tasks) < 20)
    @rule(which=any_one, from_step=st.sampled_from([None, None, 0, 1, 2]))
    def resume(self, which: int, from_step: int | None) -> None:
        old = pick(self.ended, which)
        error = self.client.find_row(old.id)["error"] or {"details": {}}
        is_named = from_step is not None or not (old.status == "completed" or error["details"].get("not_undone"))
        possible = is_named and resumes.resumable(old, from_step)
        try:
            self.client.get(old.id).resume(from_step=from_step)
        except InvalidState:
            assert not possible
            return
        except BudgetExhausted:
            return  # nothing is left for the children that go on
        assert possible
        rows = {
            (row["resumed_from"], row["parent_id"]): self.client.find_row(row["id"])
            for row in query(self.client, "SELECT * FROM agent_tasks.tasks WHERE resumed_from IS NOT NULL")
            if row["id"] not in self.tasks
        }

        def accepted(old: Task, parent: Task | None) -> tuple[UUID, Budget]:
            row = rows.pop((old.id, parent.id if parent else None))
            return row["id"], budget_of(row)

        for task in resumes.resume(old, from_step, accepted):
            self.tasks[task.id] = task
        assert not rows

    @precondition(lambda self: self.ended)
    @rule(which=any_one)
    def acknowledge(self, which: int) -> None:
        assert self.client.get(pick(self.ended, which).id).acknowledge().acknowledged_at is not None
