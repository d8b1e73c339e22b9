"""What the threads of a worker do together: claims, commits, calls, and what is published to Redis."""

import threading
from collections.abc import Callable, Hashable, Sequence
from math import inf
from time import monotonic, sleep
from typing import Any, TypeVar
from uuid import UUID
from weakref import WeakValueDictionary

from agent_tasks.deployment import Deployment
from agent_tasks.engine.batching.combiner import Combiner
from agent_tasks.errors import BudgetExhausted, LeaseLost
from agent_tasks.store.database import Connection
from agent_tasks.store.errors import Contention
from agent_tasks.store.rows import Row
from agent_tasks.task.row import BellRow
from agent_tasks.transitions.checkpoint import StepCommit, checkpoint_all
from agent_tasks.transitions.claim import Claim, ClaimRow, Wanted, claim_all
from agent_tasks.transitions.complete import Finish, complete_all
from agent_tasks.transitions.ending import end
from agent_tasks.transitions.ledger import CallBegin, CallEnd, begin_calls, end_calls

A = TypeVar("A")
T = TypeVar("T")
Joined = tuple[Row, list[Row]]
"""A child that has ended, and its parents as that changed them."""
_CLAIM_SECONDS = 1.0
"""How long a slot may wait for a row that somebody else has locked, before it has a step to lose."""
_LOCK_SECONDS = 0.1
"""How long a commit waits for the parents of its task, which their other children lock all the time."""
_FIRST_WAIT, _LONGEST_WAIT = 0.002, 0.25


class Combiners:
    """One combiner for each transition. A method raises what the transition raises for its request, and ServerAway.

    A batch has a row once, since a statement changes each row once. It waits for no row that somebody else has
    locked: the thread that asked for that one asks again, and holds no connection meanwhile.
    """

    def __init__(self, deployment: Deployment, worker_id: str) -> None:
        self._deployment = deployment
        self._worker_id = worker_id
        self._trees: WeakValueDictionary[UUID, Combiner[Finish, Joined]] = WeakValueDictionary()
        self._lock = threading.Lock()
        self._claim: Callable[[Wanted], Claim | None] = self._combined(self._claim_all, lambda asked: asked.task_id)
        self.checkpoint: Callable[[StepCommit], ClaimRow] = self._patient(
            self._checkpoint_all, lambda asked: asked.claim.id
        )
        self.complete: Callable[[Finish], Row] = self._patient(complete_all, lambda asked: asked.claim.id)
        self.begin_call: Callable[[CallBegin], int | None] = self._patient(begin_calls, lambda asked: asked.claim.id)
        self.end_call: Callable[[CallEnd], None] = self._combined(
            end_calls, lambda asked: (asked.claim.id, asked.ordinal)
        )
        self._redis = Combiner[tuple[Row | None, BellRow | None], None](self._publish)

    def claim(self, wanted: Wanted) -> Claim | None:
        """Claim the step; None, too, where somebody else has the row locked for long: the sweep rings again."""
        until = monotonic() + _CLAIM_SECONDS
        try:
            return _patiently(self._claim, wanted, until)
        except Contention:
            return None

    def complete_child(self, finish: Finish) -> Joined:
        """Complete a child; also returns the parents that were joined, and what that changed in turn.

        A batch is of one tree: rows of several could not be locked in the order in which others lock them, and a
        parent that is locked for long holds up no other tree.
        """
        root: UUID = finish.claim.row["root_id"]
        with self._lock:
            tree = self._trees.get(root)
            if tree is None:
                tree = self._trees[root] = Combiner(self._complete_children, lambda asked: asked.claim.id)
        return _patiently(tree.ask, finish)

    def ring(self, row: BellRow) -> None:
        """Ring the bell of a step that was handed over."""
        self._redis.ask((None, row))

    def publish(self, row: Row) -> None:
        """Bring the mirror up to date, and ring the bell where the task is pending."""
        self._redis.ask((row, None))

    def _combined(
        self, transition: Callable[[Connection, Sequence[A]], Sequence[Any]], row: Callable[[A], Hashable]
    ) -> Callable[[A], Any]:
        def run(requests: Sequence[A]) -> Sequence[Any]:
            with self._deployment.database.connection() as connection:
                return transition(connection, requests)

        return Combiner[A, Any](run, row).ask

    def _patient(
        self, transition: Callable[[Connection, Sequence[A]], Sequence[Any]], row: Callable[[A], Hashable]
    ) -> Callable[[A], Any]:
        ask = self._combined(transition, row)
        return lambda request: _patiently(ask, request)

    def _claim_all(
        self, connection: Connection, wanted: Sequence[Wanted]
    ) -> list[Claim | ValueError | Contention | None]:
        settings = self._deployment.settings
        return claim_all(
            connection,
            wanted,
            worker=self._worker_id,
            lease_seconds=settings.lease_seconds,
        )

    def _checkpoint_all(
        self, connection: Connection, steps: Sequence[StepCommit]
    ) -> list[ClaimRow | LeaseLost | BudgetExhausted | Contention]:
        return checkpoint_all(connection, steps, ring_seconds=self._deployment.settings.ring_seconds)

    def _complete_children(self, finishes: Sequence[Finish]) -> list[Joined | Exception]:
        """Complete children and join their parents in one commit; the first answer has the parents' rows."""
        with self._deployment.database.transaction() as connection:
            rows, others = end(
                connection,
                lambda c: complete_all(c, finishes),
                ring_seconds=self._deployment.settings.ring_seconds,
                above=[finish.claim.id for finish in finishes],
                lock_seconds=_LOCK_SECONDS,
            )
        first = next((row for row in rows if not isinstance(row, Exception)), None)
        return [row if isinstance(row, Exception) else (row, others if row is first else []) for row in rows]

    def _publish(self, rows: Sequence[tuple[Row | None, BellRow | None]]) -> list[None]:
        shown = [row for row, _ in rows if row is not None]
        bells = [bell for _, bell in rows if bell is not None]
        self._deployment.publisher.publish(shown, bells=bells)
        return [None] * len(rows)


def _patiently(ask: Callable[[A], T], request: A, until: float = inf) -> T:
    """Ask again until no rival is in the way. Raises Contention after `until`, by the monotonic clock."""
    wait = _FIRST_WAIT
    while True:
        try:
            return ask(request)
        except Contention:
            if monotonic() > until:
                raise
        sleep(wait)
        wait = min(2 * wait, _LONGEST_WAIT)
