"""Parents and children on a real Postgres: spawned, ended and joined as a worker would."""

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from agent_tasks import AgentTasks, Budget, BudgetExhausted, ErrorInfo, ErrorType, FanOut
from agent_tasks.engine.steps.spawning import Spawned, Spawning
from agent_tasks.store.database import Connection
from agent_tasks.task import snapshot
from agent_tasks.task.allotment import Claimant, divide
from agent_tasks.task.budget import Spend, remaining
from agent_tasks.task.snapshot import spend_of
from agent_tasks.transitions import ending
from agent_tasks.transitions.checkpoint import Committed
from agent_tasks.transitions.claim import Claim
from agent_tasks.transitions.complete import Finish
from agent_tasks.transitions.fail import fail
from agent_tasks.transitions.fan_out import fan_out
from agent_tasks.transitions.submit import NewTask
from agent_tasks.transitions.undo import Undoing, undone
from tests.database import Row, claimed, query, row_of
from tests.database.single import complete

BROKEN = ErrorInfo(type=ErrorType.STEP_FAILED, message="broke")
DIVIDED = ("tokens", "usd", "steps", "calls")
Write = Callable[[Connection, Claim], Row]


def spawn(
    client: AgentTasks,
    taken: Claim,
    count: int = 2,
    *,
    asks: Sequence[Budget] = (),
    on_child_failure: str = "collect",
    reserve: float = 0.0,
    undoable: bool = False,
) -> list[UUID]:
    """The step commits a FanOut of `count` children that share what is left; their ids in its order."""
    left = remaining(taken.budget, taken.spent + Spend(steps=1))
    target = client.find_target("echo")
    wants = [Claimant(asks=ask) for ask in asks] or [Claimant()] * count
    shares = divide(left, Budget(seconds=reserve or None), wants)
    children = [client.new_task(target, {"value": n}, share.budget) for n, share in enumerate(shares)]
    with client.database.transaction() as connection:
        _, rows = fan(
            connection, taken, children, reserve=reserve, on_child_failure=on_child_failure, undoable=undoable
        )
    return [row["id"] for row in sorted(rows, key=lambda row: row["child_index"])]


def spawned_of(client: AgentTasks, taken: Claim, directive: FanOut) -> Spawned:
    """The children that a worker makes of a FanOut. Raises BudgetExhausted."""
    row = client.find_row(taken.id)
    return Spawning(client).spawn(taken, directive, spend_of(row), snapshot.reserved_of(row))


def fan(
    connection: Connection,
    taken: Claim,
    children: Sequence[NewTask],
    *,
    reserve: float = 0.0,
    on_child_failure: str = "collect",
    undoable: bool = False,
) -> tuple[Row, list[Row]]:
    """The step commits a FanOut of these children."""
    with connection.transaction():
        return fan_out(
            connection,
            taken,
            Committed("echo", "{}", 0, undoable=undoable),
            children,
            on_child_failure=on_child_failure,
            reserve_seconds=reserve,
            clamped={},
            ring_seconds=60,
        )


def done(connection: Connection, taken: Claim) -> Row:
    return complete(connection, Finish(taken, '"done"', 0))


def shortened(connection: Connection, taken: Claim) -> Row:
    """The step chose to end as partial."""
    shortfall = ErrorInfo(type=ErrorType.PARTIAL_COMPLETION, message="enough")
    return complete(connection, Finish(taken, '"some"', 0, shortfall=shortfall))


def out_of_time(connection: Connection, taken: Claim) -> Row:
    return fail(connection, taken, BudgetExhausted.of("seconds", 5, 6).info)


def undo(connection: Connection, taken: Claim, failure: ErrorInfo | None = None) -> Row:
    """The undo function that the worker holds has run, or was given up."""
    return undone(connection, Undoing.from_row(taken.row), failure=failure, ring_seconds=60)


def broken(connection: Connection, taken: Claim) -> Row:
    return fail(connection, taken, BROKEN)


def end(client: AgentTasks, taken: Claim, write: Write = done) -> list[Row]:
    """End a task as its worker does, and tell its parent in the same commit; all rows that this changed."""

    def end_and_tell(connection: Connection) -> list[Row]:
        rows, joined = ending.end(connection, lambda c: [write(c, taken)], ring_seconds=60, above=[taken.id])
        return [*rows, *joined]

    return client.database.run(end_and_tell)


def run_child(client: AgentTasks, task_id: UUID, write: Write = done) -> list[Row]:
    return end(client, claimed(client, task_id), write)


def statuses(client: AgentTasks, ids: Sequence[UUID]) -> list[str]:
    return [row_of(client, task_id)["status"] for task_id in ids]


def reserved_of(client: AgentTasks, task_id: UUID) -> dict[str, Any]:
    """What a task has set aside for its children, and how many of them it still waits for."""
    row = row_of(client, task_id)
    return {name: float(row[f"reserved_{name}"]) for name in DIVIDED} | {"children": row["children_left"]}


NOTHING_RESERVED = dict.fromkeys(DIVIDED, 0.0) | {"children": 0}


def types_of(client: AgentTasks, task_id: UUID) -> list[str]:
    """The types of a task's events, in order and without a gap."""
    rows = query(client, "SELECT seq, type FROM agent_tasks.events WHERE task_id = %s ORDER BY seq", task_id)
    assert [row["seq"] for row in rows] == list(range(1, len(rows) + 1))
    return [row["type"] for row in rows]
