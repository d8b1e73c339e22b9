"""The end of tasks: those above are locked first, from the top down, and joined in the same commit."""

from collections.abc import Callable, Sequence
from typing import TypeVar
from uuid import UUID

from agent_tasks.moments import reached
from agent_tasks.store.database import Connection
from agent_tasks.store.rows import Row
from agent_tasks.transitions.cancel import lock_above
from agent_tasks.transitions.join import join

R = TypeVar("R", bound=Row | Exception)


def end(
    connection: Connection,
    write: Callable[[Connection], Sequence[R]],
    *,
    ring_seconds: float,
    above: Sequence[UUID] = (),
    lock_seconds: float | None = None,
) -> tuple[Sequence[R], list[Row]]:
    """Call `write`, which may end tasks, and join upwards until nothing changes; within a transaction.

    `above`: tasks whose parents are locked before; a `write` that cannot name them beforehand locks by itself.
    `lock_seconds`: no lock is waited for longer. Returns what `write` did, and the rows that this changed in turn.
    Raises psycopg.errors.LockNotAvailable.
    """
    if above:
        lock_above(connection, above, seconds=lock_seconds)
    written = write(connection)
    reached("halfway")
    joined = join(connection, [row for row in written if not isinstance(row, Exception)], ring_seconds=ring_seconds)
    reached("written", joined=joined)
    return written, joined
