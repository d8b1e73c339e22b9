"""Moves of running steps: charges, calls, progress, what they keep."""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from agent_tasks.errors import LeaseLost
from tests import database
from tests.database.machine.machine import Machine, any_one, pick
from tests.database.machine.writes import WRITES


class Reporting(Machine):
    @precondition(lambda self: self.some("running"))
    @rule(which=any_one, what=st.sampled_from(["keep partial", "show progress", "emit"]))
    def report(self, which: int, what: str) -> None:
        task = pick(self.some("running"), which)
        self.write(task, WRITES[what])
        task.partial |= what == "keep partial"

    @precondition(lambda self: self.some("running"))
    @rule(which=any_one, tokens=st.sampled_from([1, 30, 90]), usd=st.sampled_from([0.0, 0.5]))
    def charge(self, which: int, tokens: int, usd: float) -> None:
        task = pick(self.some("running"), which)
        self.write(task, lambda c, t: database.charge(c, t, tokens=tokens, usd=usd))
        task.spend("tokens", tokens)
        task.spend("usd", usd)

    @precondition(lambda self: self.some("running"))
    @rule(which=any_one, ordinal=st.integers(min_value=0, max_value=1))
    def begin_call(self, which: int, ordinal: int) -> None:
        task = pick(self.some("running"), which)
        limit, ledger_step = task.budget.calls, self.claims[task.id].ledger_step
        begun = self.write(task, lambda c, t: database.begin_call(c, t, ordinal))
        if limit is not None and task.spent["calls"] + task.reserved("calls") >= limit and task.ending is None:
            assert begun is None
            return
        task.spend("calls", 1)
        assert begun == task.spent["calls"]
        task.calls[ledger_step, ordinal] = ("started", task.run)

    @precondition(lambda self: self.some("running"))
    @rule(which=any_one, ordinal=st.integers(min_value=0, max_value=1))
    def end_call(self, which: int, ordinal: int) -> None:
        task = pick(self.some("running"), which)
        key = (self.claims[task.id].ledger_step, ordinal)
        if task.calls.get(key, ("", 0))[1] == task.run:
            self.write(task, lambda c, t: database.end_call(c, t, ordinal))
            task.calls[key] = ("completed", task.run)
        else:
            with pytest.raises(LeaseLost):
                self.write(task, lambda c, t: database.end_call(c, t, ordinal))
