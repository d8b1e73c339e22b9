"""No arrow: what living tasks and schedules need of the code that goes on with them, each sort of it once."""

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any, LiteralString, TypedDict

from agent_tasks.store.database import Connection

_BATCH = 1000


class LivingState(TypedDict):
    """Tasks that go on with the same step, in states that its code cannot tell apart."""

    agent: str
    step: str
    state: dict[str, Any] | None
    """A state as all of them have: what the code does not look at is blank. None: purged, or without code here."""
    names: list[str] | None
    """The signals that they wait for."""
    unsignalled: bool
    """Whether the step may begin without a signal."""
    tasks: int
    example: str


class LivingSignal(TypedDict):
    """Tasks whose step is handed, or will take, the same signals."""

    agent: str
    step: str
    every: bool
    consumed: bool
    signals: list[dict[str, Any]]
    tasks: int
    example: str


class KeptSchedule(TypedDict):
    tenant: str
    name: str
    agent: str
    input: dict[str, Any]


_CODE: LiteralString = "code AS (SELECT key AS name, value AS accepts FROM jsonb_each(%(code)s::jsonb))"

# Of each argument the value, or a blank of its type where the code takes every value of that type. An argument that
# the code does not have is one by its name. A number is blank only where it is short: long ones overflow.
_SHAPE: LiteralString = """
    CASE WHEN code.name IS NULL OR state IS NULL THEN NULL
        WHEN code.accepts = 'null'::jsonb OR jsonb_typeof(state) <> 'object' THEN state
        ELSE coalesce((
            SELECT jsonb_object_agg(key, CASE
                WHEN NOT code.accepts ? key THEN 'null'::jsonb
                WHEN NOT code.accepts -> key ? type THEN value
                ELSE CASE type WHEN 'string' THEN '""' WHEN 'integer' THEN '0' WHEN 'number' THEN '0.5'
                    WHEN 'boolean' THEN 'true' WHEN 'object' THEN '{}' WHEN 'array' THEN '[]' ELSE 'null' END::jsonb
                END)
            FROM jsonb_each(state), LATERAL (SELECT CASE
                WHEN jsonb_typeof(value) <> 'number' THEN jsonb_typeof(value)
                WHEN value::text ~ '^-?[0-9]{1,15}$' THEN 'integer'
                WHEN value::text ~ '^-?[0-9]{1,15}[.][0-9]{1,30}$' THEN 'number' ELSE '' END AS type) AS typed
        ), '{}'::jsonb) END
"""

_STATES: LiteralString = f"""
    WITH {_CODE}, living AS (
        SELECT tasks.id, tasks.agent, tasks.step, waiting_for,
            CASE WHEN tasks.step_number = 0 THEN tasks.input ELSE before.state END AS state,
            CASE WHEN tasks.agent || '.' || tasks.step <> ALL (%(signalled)s::text[]) THEN false
                WHEN waiting_for ->> 'kind' = 'signal' AND NOT waiting_for ? 'waits'
                    THEN waiting_for ->> 'until' IS NOT NULL AND waiting_for ->> 'on_timeout' IS NULL
                ELSE NOT EXISTS (
                    SELECT FROM agent_tasks.signals WHERE signals.task_id = tasks.id
                        AND consumed_step = tasks.step_number AND consumed_call IS NULL) END AS unsignalled
        FROM agent_tasks.tasks LEFT JOIN agent_tasks.checkpoints AS before
            ON before.task_id = tasks.id AND before.step_number = tasks.step_number - 1
        WHERE tasks.finished_at IS NULL AND tasks.undo_step IS NULL
    ), due AS (
        SELECT id, agent, step, state, unsignalled,
            nullif(jsonb_path_query_array(waiting_for, 'lax $.names[*]')
                || jsonb_path_query_array(waiting_for, 'lax $.waits[*].names[*]'), '[]'::jsonb) AS names
        FROM living
        UNION ALL
        SELECT id, agent, waiting_for ->> 'on_timeout', state,
            agent || '.' || (waiting_for ->> 'on_timeout') = ANY (%(signalled)s::text[]), NULL
        FROM living WHERE waiting_for ->> 'on_timeout' IS NOT NULL
    )
    SELECT agent, step, shape AS state, names, unsignalled, count(*) AS tasks, min(id::text) AS example
    FROM (SELECT due.*, {_SHAPE} AS shape FROM due LEFT JOIN code ON code.name = agent || '.' || step) AS shaped
    GROUP BY agent, step, shape, names, unsignalled
"""

_UNDOS: LiteralString = f"""
    WITH {_CODE}, due AS (
        SELECT tasks.id, tasks.agent, 'undo:' || done.step AS step,
            coalesce(CASE WHEN done.step_number = 0 THEN tasks.input ELSE before.state END, '{{}}'::jsonb)
                || coalesce(done.state, '{{}}'::jsonb) AS state
        FROM agent_tasks.tasks JOIN agent_tasks.checkpoints AS done ON done.task_id = tasks.id AND done.undo
                AND done.step_number <= coalesce(tasks.undo_step, tasks.step_number)
            LEFT JOIN agent_tasks.checkpoints AS before ON before.task_id = tasks.id
                AND before.step_number = done.step_number - 1
        WHERE tasks.finished_at IS NULL AND tasks.undoable > 0
    )
    SELECT agent, step, shape AS state, NULL AS names, false AS unsignalled, count(*) AS tasks,
        min(id::text) AS example
    FROM (SELECT due.*, {_SHAPE} AS shape FROM due LEFT JOIN code ON code.name = agent || '.' || step) AS shaped
    GROUP BY agent, step, shape
"""

# Those that a step was handed, and those that came while it waits for others, too; a payload of any type is blank.
_SIGNALS: LiteralString = """
    WITH found AS (
        SELECT tasks.id, tasks.agent, tasks.step, signals.consumed_step IS NOT NULL AS consumed,
            coalesce(coalesce(before.awaits, waiting_for) ->> 'mode' = 'all', false) AS every,
            jsonb_agg(jsonb_build_object('name', signals.name, 'payload',
                CASE WHEN tasks.agent || '.' || tasks.step = ANY (%(typed)s::text[]) THEN signals.payload END)
                ORDER BY signals.seq) AS signals
        FROM agent_tasks.tasks JOIN agent_tasks.signals ON signals.task_id = tasks.id AND consumed_call IS NULL
            LEFT JOIN agent_tasks.checkpoints AS before
                ON before.task_id = tasks.id AND before.step_number = tasks.step_number - 1
        WHERE tasks.finished_at IS NULL AND tasks.undo_step IS NULL
            AND tasks.agent || '.' || tasks.step = ANY (%(signalled)s::text[])
            AND (signals.consumed_step = tasks.step_number OR signals.consumed_step IS NULL
                AND tasks.waiting_for -> 'names' ? signals.name AND NOT tasks.waiting_for ? 'waits')
        GROUP BY tasks.id, tasks.agent, tasks.step, consumed, every
    )
    SELECT agent, step, every, consumed, signals, count(*) AS tasks, min(id::text) AS example
    FROM found GROUP BY agent, step, every, consumed, signals
"""

_SCHEDULES = "SELECT tenant, name, agent, input FROM agent_tasks.schedules ORDER BY tenant, name"


def states(
    connection: Connection, code: Mapping[str, Mapping[str, Collection[str]] | None], signalled: Collection[str]
) -> Iterator[LivingState]:
    """Yield what living tasks go on with. `code`: by agent.step, and argument, the JSON types that it takes whole; None
    where the state has to be seen whole. `signalled` are the steps that declare a signal."""
    values = {"code": _listed(code), "signalled": list(signalled)}
    yield from _streamed(connection, "states", _STATES, values)


def undos(connection: Connection, code: Mapping[str, Mapping[str, Collection[str]] | None]) -> Iterator[LivingState]:
    """Yield what would be undone of living tasks, or is being undone, as `states` does."""
    yield from _streamed(connection, "undos", _UNDOS, {"code": _listed(code)})


def signals(connection: Connection, signalled: Collection[str], typed: Collection[str]) -> Iterator[LivingSignal]:
    """Yield the signals that have come for the `signalled` steps; `typed` are those that look at a payload."""
    values = {"signalled": list(signalled), "typed": list(typed)}
    yield from _streamed(connection, "signals", _SIGNALS, values)


def schedules(connection: Connection) -> list[KeptSchedule]:
    return connection.execute(_SCHEDULES).fetchall()


def _streamed(connection: Connection, name: str, query: LiteralString, values: Mapping[str, Any]) -> Iterator[Any]:
    """Within a transaction: rows in batches, however many there are."""
    with connection.cursor(f"agent_tasks_{name}") as cursor:
        cursor.itersize = _BATCH
        yield from cursor.execute(query, values)


def _listed(code: Mapping[str, Mapping[str, Collection[str]] | None]) -> str:
    return json.dumps({
        step: None if accepts is None else {name: sorted(types) for name, types in accepts.items()}
        for step, accepts in code.items()
    })  # fmt: skip
