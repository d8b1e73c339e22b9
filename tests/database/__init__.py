"""Transitions on a real Postgres, with no worker: a task is brought to where a test needs it."""

from dataclasses import replace
from typing import Any
from uuid import UUID

from agent_tasks import AgentTasks
from agent_tasks.engine.batching.combiners import Combiners
from agent_tasks.engine.steps.operations import StepOperations
from agent_tasks.store.database import Connection
from agent_tasks.store.errors import Contention
from agent_tasks.task.budget import Spend
from agent_tasks.transitions import park as parking
from agent_tasks.transitions import signal, spend
from agent_tasks.transitions.checkpoint import Committed
from agent_tasks.transitions.claim import Claim, claim_suspect
from agent_tasks.transitions.expire import expire
from agent_tasks.transitions.join import join
from agent_tasks.transitions.ledger import RecordedCall
from agent_tasks.transitions.open_wait import OpenWait, shown_of
from agent_tasks.transitions.wait import sleep, wait
from tests.database import single
from tests.database.single import checkpoint, claim

Row = Any
"""A row of any statement, whose keys the tests read unchecked."""
BLOCKED = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
"""Somebody waits for a lock: a rival has come to where it must wait."""
TABLES = ("checkpoints", "calls", "events")


def submitted(client: AgentTasks, **options: Any) -> UUID:
    return client.submit("echo", {"value": 1}, **options).id


def query(client: AgentTasks, sql: str, *values: Any) -> list[Row]:
    """The rows of a statement in plain SQL, which commits by itself."""
    with client.database.connection() as connection:
        cursor = connection.execute(sql, values)  # type: ignore[arg-type]
        return cursor.fetchall() if cursor.description is not None else []


def row_of(client: AgentTasks, task_id: UUID) -> Row:
    return query(client, "SELECT * FROM agent_tasks.tasks WHERE id = %s", task_id)[0]


def all_of(client: AgentTasks, task_id: UUID) -> dict[str, list[Row]]:
    """A task and its whole history, to compare with later."""
    found = {
        table: query(client, f"SELECT * FROM agent_tasks.{table} WHERE task_id = %s ORDER BY 2, 3", task_id)
        for table in TABLES
    }
    return {"tasks": [row_of(client, task_id)], **found}


def operations_of(client: AgentTasks, taken: Claim) -> StepOperations:
    return StepOperations(client, taken, Combiners(client, "w"), lambda _: None)


def try_claim(client: AgentTasks, task_id: UUID, worker: str = "w", **options: Any) -> Claim | None:
    row = row_of(client, task_id)
    return answer(client, task_id, row["step"], row["step_number"], worker=worker, **options)


def answer(client: AgentTasks, task_id: UUID, step: str, step_number: int, **options: Any) -> Claim | None:
    """Claim what a message names, which may have been late; again where the row is locked just then."""
    values = {"worker": "w", "lease_seconds": 60, **options}
    while True:
        try:
            with client.database.connection() as connection:
                return claim(connection, task_id, step, step_number, **values)
        except Contention:
            continue


def claimed(client: AgentTasks, task_id: UUID | None = None, **options: Any) -> Claim:
    """By a worker, or, where its lease was over and it is suspect, by a process of the quarantine."""
    task_id = task_id or submitted(client)
    if row_of(client, task_id)["status"] == "running":
        swept(client, poison_crashes=1000)
    if row_of(client, task_id)["suspect"]:
        query(
            client,
            "UPDATE agent_tasks.tasks SET pending_since = pending_since - interval '1 year' WHERE id = %s",
            task_id,
        )
        taken = claimed_apart(client, task_id, **options)
    else:
        taken = try_claim(client, task_id, **options)
    assert isinstance(taken, Claim)
    return taken


def claimed_apart(client: AgentTasks, task_id: UUID, **options: Any) -> Claim | ValueError | None:
    """What a process of the quarantine takes that serves this task's step, and suspects of its kind."""
    row = row_of(client, task_id)
    steps = [f"{row['agent']}.{row['step']}"]
    values = {"suspect": row["suspect"], "queues": [row["queue"]], "steps": steps, "worker": "w", "lease_seconds": 60}
    with client.database.connection() as connection:
        return claim_suspect(connection, **{**values, **options})


def commit(
    connection: Connection,
    taken: Claim,
    next_step: str = "echo",
    state: str = "{}",
    *,
    in_place: bool = False,
    ring_seconds: float = 1,
    **options: Any,
) -> Row:
    """The step is committed, and the task goes on with `next_step`."""
    committed = Committed(next_step, state, **{"seconds": 0, **options})
    return checkpoint(connection, taken, committed, in_place=in_place, ring_seconds=ring_seconds)


def park(
    connection: Connection,
    taken: Claim,
    *names: str,
    every: bool = False,
    timeout: float | None = None,
    on_timeout: str | None = None,
    undoable: bool = False,
) -> Row:
    """The step is committed, and the task waits for signals of these names."""
    committed = Committed("echo", '{"value": 2}', 0, undoable=undoable)
    with connection.transaction():
        return wait(
            connection, taken, committed, names,
            all_of_them=every, timeout=timeout, on_timeout=on_timeout, ring_seconds=60,
        )  # fmt: skip


def park_within(connection: Connection, taken: Claim, *waits: OpenWait) -> Row:
    """The step is parked as it is, by waits of its own, and woken where one of them is over."""
    with connection.transaction():
        row = parking.park(connection, taken, waits, progress=None)
        return signal.deliver(connection, taken.id, ring_seconds=60) or row


def open_wait(ordinal: int, *names: str, every: bool = False, timeout: float | None = 600) -> OpenWait:
    """A wait within a step, for any of these signals, or for all of them."""
    shown = shown_of(dict.fromkeys(names or ("go",), f"{ordinal}"), "all" if every else "any")
    return OpenWait(RecordedCall(ordinal, "", "wait", "d", ordinal, None, "k", False, begun=1), shown, 0.0, timeout)


def open_sleep(ordinal: int, seconds: float = 600) -> OpenWait:
    """A wait within a step, for the clock."""
    return replace(open_wait(ordinal, timeout=seconds), shown={"kind": "timer"})


def parked(connection: Connection, taken: Claim, seconds: float = 600, *, undoable: bool = False) -> Row:
    """The step is committed, and the task waits for a timer."""
    return sleep(connection, taken, Committed("echo", "{}", 0, undoable=undoable), seconds=seconds, until=None)


def charge(connection: Connection, taken: Claim, *, tokens: int = 3, usd: float = 0.25) -> Spend:
    return spend.charge(connection, taken, tokens=tokens, usd=usd)[0]


def keep_partial(connection: Connection, taken: Claim) -> Row:
    return spend.keep_partial(connection, taken, '"half"')


def show_progress(connection: Connection, taken: Claim) -> Row:
    return spend.show_progress(connection, taken, '{"done": 1}')


def emit(connection: Connection, taken: Claim) -> Row:
    return spend.emit(connection, taken, "found", "1")


def begin_call(connection: Connection, taken: Claim, ordinal: int = 0) -> int | None:
    return single.begin_call(connection, taken, ordinal, "pay", key="k", at_most_once=False)


def end_call(connection: Connection, taken: Claim, ordinal: int = 0) -> None:
    single.end_call(connection, taken, ordinal, status="completed", outcome='"paid"')


def swept(client: AgentTasks, limit: int = 100, poison_crashes: int = 3) -> list[Row]:
    """What the sweep of expired leases changed, parents that it joined included."""
    with client.database.transaction() as connection:
        rows = expire(connection, limit=limit, ring_seconds=60, lease_seconds=0, poison_crashes=poison_crashes)
        return rows + join(connection, rows, ring_seconds=60)


def adopt(client: AgentTasks, parent: UUID, task_id: UUID) -> UUID:
    """Make a task a child of another one, as its first FanOut would have."""
    sql = """
        UPDATE agent_tasks.tasks
            SET parent_id = parent.id, root_id = parent.root_id, depth = parent.depth + 1, parent_step = 0,
            child_index = 0
        FROM agent_tasks.tasks AS parent WHERE parent.id = %s AND tasks.id = %s
    """
    query(client, sql, parent, task_id)
    return task_id


def lapse(client: AgentTasks, task_id: UUID) -> None:
    """The lease was taken ten seconds ago, and is over."""
    query(
        client,
        "UPDATE agent_tasks.tasks SET claimed_at = least(claimed_at, clock_timestamp() - interval '10 s'), "
        "due_at = clock_timestamp() - interval '1 ms' WHERE id = %s",
        task_id,
    )


def fall_due(client: AgentTasks, task_id: UUID) -> None:
    query(client, "UPDATE agent_tasks.tasks SET due_at = clock_timestamp() - interval '1 ms' WHERE id = %s", task_id)
