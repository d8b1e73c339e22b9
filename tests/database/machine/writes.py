"""All that the worker of a step can write, each by its fenced transition."""

from collections.abc import Callable
from typing import Any

from agent_tasks.store.database import Connection
from agent_tasks.transitions.claim import Claim
from agent_tasks.transitions.park import take
from agent_tasks.transitions.retry import retry
from tests import database
from tests.database.children import BROKEN, broken, done, fan

Write = Callable[[Connection, Claim], Any]
WRITES: dict[str, Write] = {
    "hand over": database.commit,
    "go on": lambda c, t: database.commit(c, t, in_place=True),
    "wait": lambda c, t: database.park(c, t, "a"),
    "sleep": database.parked,
    "park within": lambda c, t: database.park_within(c, t, database.open_wait(2, "a")),
    "take": lambda c, t: take(c, t, [database.open_wait(2, "a")], [1]),
    "fan out": lambda c, t: fan(c, t, []),
    "complete": done,
    "fail": broken,
    "retry": lambda c, t: retry(c, t, BROKEN, 600.0, progress=None),
    "charge": database.charge,
    "keep partial": database.keep_partial,
    "show progress": database.show_progress,
    "emit": database.emit,
    "begin call": database.begin_call,
    "end call": database.end_call,
}
