"""running → pending: a worker's code takes other arguments than its step has, and gives it back to another release."""

import json
from typing import LiteralString

from agent_tasks.store.database import Connection
from agent_tasks.store.history import COUNTED, EVENTS, event_list
from agent_tasks.store.rows import LIVES, OWNED, RUNNING_SECONDS, SNAPSHOT, UNCOUNTED, Row
from agent_tasks.transitions.claim import Claim

FIRST_SECONDS, SLOWEST_SECONDS = 0.5, 30.0


def serves(task: LiteralString, signatures: LiteralString, seen: LiteralString) -> LiteralString:
    """The condition that a worker, `seen` as it says, takes the step by a function that is none of the `signatures`,
    a JSON array. A worker that does not say its signatures may have any."""
    return f"""EXISTS (
        SELECT FROM agent_tasks.workers, unnest(workers.steps, workers.signatures) AS served (step, signature)
        WHERE {task}.queue = ANY (workers.queues) AND served.step = {task}.agent || '.' || {task}.step
            AND ({signatures} ? served.signature) IS NOT TRUE AND ({seen}))"""


# Its bell rings when `until` comes, for whoever takes it then: each time it is given back, that takes twice as long.
_REFUSE = f"""
    WITH owned AS (
        SELECT id, agent, step, queue, coalesce((refused ->> 'times')::int, 0) AS times,
            coalesce(refused -> 'since', to_jsonb(clock_timestamp())) AS since,
            coalesce(refused -> 'signatures', '[]'::jsonb) - %(signature)s::text || to_jsonb(%(signature)s::text)
                AS signatures
        FROM agent_tasks.tasks WHERE {OWNED} FOR NO KEY UPDATE
    ), refusing AS (
        SELECT *,
            clock_timestamp() + make_interval(secs => least(%(slowest)s, %(first)s * 2 ^ least(times, 20))) AS until
        FROM owned WHERE NOT %(only_if_served)s OR {serves("owned", "owned.signatures", LIVES)}
    ), changed AS (
        UPDATE agent_tasks.tasks SET
            status = 'pending', worker = NULL, rings = 0, pending_since = clock_timestamp(), due_at = refusing.until,
            spent_seconds = spent_seconds + {RUNNING_SECONDS}, {UNCOUNTED}, {COUNTED},
            refused = jsonb_build_object('since', since, 'until', refusing.until, 'times', times + 1,
                'why', %(why)s::text, 'signatures', signatures)
        FROM refusing WHERE tasks.id = refusing.id
        RETURNING tasks.*
    ), {EVENTS}
    SELECT {SNAPSHOT} FROM changed AS tasks
"""


def refuse(
    connection: Connection, claim: Claim, why: str, *, signature: str, only_if_served: bool, lease_seconds: float
) -> Row | None:
    """Give the step back, which counts as no try. `why` is shown to users; `signature` is what the code here takes.

    None where the lease is lost; with `only_if_served` also where all living workers that take the step have code that
    gave it back. What nobody serves is given up when the task's TTL is over (`abandon`).
    """
    return connection.execute(
        _REFUSE,
        {
            **claim.fence,
            "why": why,
            "signature": signature,
            "only_if_served": only_if_served,
            "lease_seconds": lease_seconds,
            "first": FIRST_SECONDS,
            "slowest": SLOWEST_SECONDS,
            **event_list([("released", json.dumps({"step": claim.step, "why": why}))]),
        },
    ).fetchone()
