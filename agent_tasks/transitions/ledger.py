"""running → running: a call's intent is written before it is made, its outcome after."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, LiteralString, TypedDict
from uuid import UUID

from agent_tasks.authoring.calls.branches import Branch
from agent_tasks.authoring.calls.call_identity import CallIdentity
from agent_tasks.errors import BudgetExhausted, LeaseLost
from agent_tasks.store.database import Connection
from agent_tasks.store.errors import Contention
from agent_tasks.store.rows import OWNED, few
from agent_tasks.task.amount import NOTHING, Amount
from agent_tasks.transitions.claim import Claim
from agent_tasks.transitions.fence import GIVEN_OWNED, PASSING_LOCKED, given, locked, lost


@dataclass(slots=True, eq=False)
class RecordedCall:
    """A call of this step, from an earlier run or from this one."""

    ordinal: int
    """Its place in the order in which calls were begun."""
    branch: str | None
    """The branch that made it; None in records of 0.1.0, which knows a call by its ordinal and its name."""
    name: str
    digest: str
    place: int
    key: str | None
    idempotency_key: str
    at_most_once: bool
    begun: int = 0
    """When it was begun, by the clock of the step, as are `births` and `ended`."""
    births: Sequence[int] = ()
    """When the branches of its path were born."""
    status: str = "started"
    outcome: Any = None
    """The value it returned, or the error it failed with."""
    is_late: bool = False
    """Whether its outcome came after the step had cancelled it."""
    ended: int | None = None
    """When the step was given what came of it; None in records of 0.1.0."""
    seconds: float = 0.0
    replay: str | None = None
    """again: it ended a try that is tried again, and is made again. optional: it followed such a call, and need not
    come again. tried: the call itself is tried again, and the step does not see this failure."""
    inherited: bool = False
    """Whether the task that this one was resumed from recorded it."""
    wait: Any = None
    """Of a wait: what for, since when and until when, as a `park.WaitRecord`; None for a call."""
    held_tokens: int = 0
    """What is left of its reservation, likewise `held_usd`."""
    held_usd: Decimal = Decimal(0)
    error: BaseException | None = None
    """The exception that it raised in this run."""
    within: Branch | None = None
    """The code that cancelled it in this run."""

    @property
    def identity(self) -> CallIdentity:
        return CallIdentity(self.branch or "", self.name, self.digest, self.place, self.key)

    @property
    def path(self) -> str:
        """The path of the code that made it."""
        return self.branch or ""

    @property
    def held(self) -> Amount:
        """What is left of its reservation."""
        return Amount(self.held_tokens, self.held_usd)

    @held.setter
    def held(self, amount: Amount) -> None:
        self.held_tokens, self.held_usd = amount


@dataclass(slots=True, eq=False)
class RecordedCharge:
    """A charge of this step, from an earlier run or from this one."""

    branch: str
    tokens: int
    """What the task had spent and reserved, as the step saw it then; `usd` likewise."""
    usd: float
    ended: int | None
    """When the step was answered; None where it had cancelled the charge."""
    inherited: bool
    is_asked: bool = False
    """Whether this run has come to it."""


@dataclass(frozen=True, slots=True)
class CallBegin:
    """A call that is to be made."""

    claim: Claim
    ordinal: int
    name: str
    key: str
    at_most_once: bool
    identity: CallIdentity | None = None
    """Its identity; None in a record of 0.1.0."""
    begun: int = 0
    births: Sequence[int] = ()
    reserve: Amount = NOTHING
    """What it reserves."""
    back: Amount = NOTHING
    """What it had reserved when it was begun before, and lost."""

    @property
    def more(self) -> Amount:
        """What it reserves beyond what it had reserved."""
        return self.reserve.less(self.back)


@dataclass(frozen=True, slots=True)
class CallEnd:
    """A call that was made; `status` is completed, failed or cancelled, `outcome` JSON text."""

    claim: Claim
    ordinal: int
    status: str
    outcome: str | None = None
    ended: int = 0
    replay: str | None = None
    back: Amount = NOTHING
    """What it gives back of what it had reserved."""


_RECORDED = """
    SELECT ordinal, branch, name, coalesce(digest, '') AS digest, coalesce(place, 0) AS place, key, idempotency_key,
        at_most_once, coalesce(begun, 0) AS begun, coalesce(births, '{}') AS births, status, outcome,
        status = 'cancelled' AND outcome IS NOT NULL AS is_late, ended,
        coalesce(extract(epoch FROM finished_at - started_at)::float8, 0) AS seconds, replay, run = 0 AS inherited,
        wait, held_tokens, held_usd
    FROM agent_tasks.calls WHERE task_id = %(id)s AND step_number = %(ledger_step)s
    ORDER BY ordinal
"""

_CHARGED = """
    SELECT fingerprint, branch, ended, spent_tokens AS tokens, least(spent_usd, 1e300)::float8 AS usd,
        run = 0 AS inherited
    FROM agent_tasks.charges WHERE task_id = %(id)s AND step_number = %(ledger_step)s
"""
_LEFT: LiteralString = "(budget_calls IS NULL OR spent_calls + reserved_calls < budget_calls OR ending IS NOT NULL)"

# A call that is begun again takes over what it had reserved: `more` is what it reserves beyond that.
_ENOUGH: LiteralString = """
    (coalesce(given.more_tokens, 0) <= 0 OR tasks.budget_tokens IS NULL OR tasks.ending IS NOT NULL
        OR tasks.spent_tokens::numeric + tasks.reserved_tokens + tasks.held_tokens + given.more_tokens
            <= tasks.budget_tokens)
    AND (coalesce(given.more_usd, 0) <= 0 OR tasks.budget_usd IS NULL OR tasks.ending IS NOT NULL
        OR tasks.spent_usd + tasks.reserved_usd + tasks.held_usd + given.more_usd <= tasks.budget_usd)
"""

_BEGIN = f"""
    WITH given AS (
        SELECT * FROM jsonb_to_recordset(%(given)s::jsonb) AS given (
            id uuid, run integer, step_number integer, ledger_step integer, ordinal integer, name text, key text,
            at_most_once boolean, branch text, digest text, place integer, own_key text, begun integer,
            births integer[], held_tokens bigint, held_usd numeric, more_tokens bigint, more_usd numeric)
        WHERE {few("step_number")}
    ), owned AS (
        SELECT tasks.id, given.more_tokens, given.more_usd FROM given JOIN agent_tasks.tasks ON {GIVEN_OWNED}
        WHERE {_LEFT} AND {_ENOUGH}
        {PASSING_LOCKED}
    ), changed AS (
        UPDATE agent_tasks.tasks SET spent_calls = spent_calls + 1, version = version + 1,
            held_tokens = held_tokens + coalesce(owned.more_tokens, 0),
            held_usd = held_usd + coalesce(owned.more_usd, 0)
        FROM owned WHERE tasks.id = owned.id
        RETURNING tasks.id, tasks.spent_calls
    ), added AS (
        INSERT INTO agent_tasks.calls AS old (task_id, step_number, ordinal, name, status, at_most_once,
            idempotency_key, run,
            branch, digest, place, key, begun, births, held_tokens, held_usd)
        SELECT id, ledger_step, ordinal, name, 'started', at_most_once, given.key, run, branch, digest, place, own_key,
            begun, births, coalesce(held_tokens, 0), coalesce(held_usd, 0)
        FROM given JOIN changed USING (id)
        ON CONFLICT (task_id, step_number, ordinal) DO UPDATE SET
            status = 'started', run = excluded.run, attempts = old.attempts + 1, outcome = NULL, replay = NULL,
            begun = excluded.begun, births = excluded.births, ended = NULL,
            held_tokens = excluded.held_tokens, held_usd = excluded.held_usd,
            started_at = clock_timestamp(), finished_at = NULL
    )
    SELECT id, spent_calls FROM changed
"""

# A call that the step was refused is one that failed, so that a repeat is refused it, too, whatever is left by then.
_REFUSE = f"""
    WITH changed AS (
        UPDATE agent_tasks.tasks SET held_tokens = held_tokens - %(back_tokens)s, held_usd = held_usd - %(back_usd)s,
            version = version + 1
        WHERE {OWNED}
        RETURNING id, run
    )
    INSERT INTO agent_tasks.calls AS old (task_id, step_number, ordinal, name, status, at_most_once, idempotency_key,
        run, branch, digest, place, key, begun, births, outcome, ended, finished_at)
    SELECT id, %(ledger_step)s, %(ordinal)s, %(name)s, 'failed', %(at_most_once)s, %(key)s, run, %(branch)s, %(digest)s,
        %(place)s, %(own_key)s, %(begun)s, %(births)s::int[], %(outcome)s::jsonb, %(ended)s, clock_timestamp()
    FROM changed
    ON CONFLICT (task_id, step_number, ordinal) DO UPDATE SET
        status = 'failed', run = excluded.run, outcome = excluded.outcome, replay = NULL, begun = excluded.begun,
        births = excluded.births, ended = excluded.ended, held_tokens = 0, held_usd = 0, finished_at = clock_timestamp()
    RETURNING ordinal
"""

# What came of a call stays when the step has cancelled it meanwhile: it is given back where that is tried again.
_ENDED: LiteralString = """
    status = given.status, ended = given.ended, replay = given.replay,
        outcome = CASE WHEN given.status <> 'cancelled' THEN coalesce(given.outcome, 'null'::jsonb)
            WHEN calls.status = 'completed' THEN calls.outcome END,
        finished_at = clock_timestamp()
"""

_END = f"""
    WITH given AS (
        SELECT * FROM jsonb_to_recordset(%(given)s::jsonb) AS given (
            id uuid, run integer, step_number integer, ledger_step integer, ordinal integer, status text,
            outcome jsonb, ended integer, replay text)
        WHERE {few("step_number")}
    )
    UPDATE agent_tasks.calls SET {_ENDED}
    FROM given JOIN agent_tasks.tasks ON {GIVEN_OWNED}
    WHERE calls.task_id = given.id AND calls.step_number = given.ledger_step AND calls.ordinal = given.ordinal
        AND calls.run = given.run
    RETURNING calls.task_id, calls.ordinal
"""

# Alone: it waits for the lock of its task's row, which the others of a batch need not.
_SETTLE = f"""
    WITH given AS (
        SELECT %(status)s::text AS status, %(ended)s::int AS ended, %(replay)s::text AS replay,
            %(outcome)s::jsonb AS outcome
    ), changed AS (
        UPDATE agent_tasks.tasks SET held_tokens = held_tokens - %(back_tokens)s, held_usd = held_usd - %(back_usd)s,
            version = version + 1
        WHERE {OWNED}
        RETURNING id, run
    )
    UPDATE agent_tasks.calls SET held_tokens = held_tokens - %(back_tokens)s, held_usd = held_usd - %(back_usd)s,
        {_ENDED}
    FROM changed, given
    WHERE calls.task_id = changed.id AND calls.step_number = %(ledger_step)s AND calls.ordinal = %(ordinal)s
        AND calls.run = changed.run
    RETURNING calls.ordinal
"""


class _BegunRow(TypedDict):
    id: UUID
    spent_calls: int


class _EndedRow(TypedDict):
    task_id: UUID
    ordinal: int


class _LeftRow(TypedDict):
    are_left: bool
    is_enough: bool
    tokens: Decimal | None
    usd: Decimal | None


_ASKED_LEFT = f"""
    SELECT {_LEFT} AS are_left, {_ENOUGH} AS is_enough,
        budget_tokens - spent_tokens::numeric - reserved_tokens - held_tokens AS tokens,
        budget_usd - spent_usd - reserved_usd - held_usd AS usd
    FROM agent_tasks.tasks, (SELECT %(more_tokens)s::numeric AS more_tokens, %(more_usd)s::numeric AS more_usd) AS given
    WHERE {OWNED}
"""

JUDGED: LiteralString = """
    calls_judged AS (
        UPDATE agent_tasks.calls SET status = judged.status, replay = judged.replay
        FROM changed, jsonb_to_recordset(%(judged)s::jsonb) AS judged (ordinal integer, status text, replay text)
        WHERE calls.task_id = changed.id AND calls.step_number = %(ledger_step)s AND calls.ordinal = judged.ordinal
    )
"""
"""The part of a WITH that notes which calls of a try that raised are made again; `judged` gives its parameters."""

_JUDGE = f"WITH changed AS (SELECT id FROM agent_tasks.tasks WHERE {OWNED}), {JUDGED} SELECT FROM changed"


def recorded_calls(connection: Connection, claim: Claim) -> dict[int, RecordedCall]:
    """The calls that earlier runs of this step have recorded, by ordinal."""
    rows = connection.execute(_RECORDED, {"id": claim.id, "ledger_step": claim.ledger_step}).fetchall()
    return {row["ordinal"]: RecordedCall(**row) for row in rows}


def recorded_charges(connection: Connection, claim: Claim) -> dict[str, RecordedCharge]:
    """The charges of earlier runs of this step, by their fingerprint."""
    rows = connection.execute(_CHARGED, {"id": claim.id, "ledger_step": claim.ledger_step}).fetchall()
    return {row.pop("fingerprint"): RecordedCharge(**row) for row in rows}


def begin_calls(
    connection: Connection, calls: Sequence[CallBegin]
) -> list[int | LeaseLost | BudgetExhausted | Contention | None]:
    """Record the intent of these calls, each of another task, and count them.

    Returns the calls spent of each, None where none were left, or LeaseLost, or BudgetExhausted where less is left than
    it reserves, or Contention where somebody else has locked the row.
    """
    begun: list[_BegunRow] = connection.execute(
        _BEGIN, {"given": f"[{', '.join(map(_given_begin, calls))}]"}
    ).fetchall()
    spent = {row["id"]: row["spent_calls"] for row in begun}
    return [spent[c.claim.id] if c.claim.id in spent else _not_begun(connection, c) for c in calls]


def _not_begun(connection: Connection, call: CallBegin) -> LeaseLost | BudgetExhausted | Contention | None:
    more = call.more
    values = {**call.claim.fence, "more_tokens": more.tokens, "more_usd": more.usd}
    row: _LeftRow | None = connection.execute(_ASKED_LEFT, values).fetchone()
    if row is None:
        return lost(call.claim)
    if not row["are_left"]:
        return None
    if row["is_enough"]:
        return locked(call.claim)
    for resource, asked, there in (("tokens", more.tokens, row["tokens"]), ("usd", more.usd, row["usd"])):
        if there is not None and asked > there:
            limit = getattr(call.claim.budget, resource)
            return BudgetExhausted.to_reserve(resource, call.name, getattr(call.reserve, resource), there, limit)
    raise AssertionError("it was refused for one of the two")


def refuse_call(connection: Connection, call: CallBegin, outcome: str, ended: int) -> None:
    """Record that a call was refused, with its error as JSON text: nothing is reserved. Raises LeaseLost."""
    identity = call.identity
    values = {
        **call.claim.fence,
        "ledger_step": call.claim.ledger_step,
        "ordinal": call.ordinal,
        "name": call.name,
        "at_most_once": call.at_most_once,
        "key": call.key,
        "branch": identity and identity.branch,
        "digest": identity and identity.digest,
        "place": identity and identity.place,
        "own_key": identity and identity.key,
        "begun": call.begun,
        "births": list(call.births),
        "outcome": outcome,
        "ended": ended,
        **_back(call.back),
    }
    if connection.execute(_REFUSE, values).fetchone() is None:
        raise lost(call.claim)


def end_calls(connection: Connection, calls: Sequence[CallEnd]) -> list[LeaseLost | None]:
    """Record the outcomes of these calls; returns LeaseLost for those whose run owns the step no more."""
    rows: list[_EndedRow] = connection.execute(_END, {"given": f"[{', '.join(map(_given_end, calls))}]"}).fetchall()
    ended = {(row["task_id"], row["ordinal"]) for row in rows}
    return [None if (call.claim.id, call.ordinal) in ended else lost(call.claim) for call in calls]


def settle_call(connection: Connection, call: CallEnd) -> None:
    """Record a call's outcome, and give back what is left of its reservation. Raises LeaseLost."""
    values = {
        **call.claim.fence,
        "ledger_step": call.claim.ledger_step,
        "ordinal": call.ordinal,
        "status": call.status,
        "outcome": call.outcome,
        "ended": call.ended,
        "replay": call.replay,
        **_back(call.back),
    }
    if connection.execute(_SETTLE, values).fetchone() is None:
        raise lost(call.claim)


def _back(amount: Amount) -> dict[str, Any]:
    return {"back_tokens": amount.tokens, "back_usd": amount.usd}


def judge(connection: Connection, claim: Claim, calls: Iterable[RecordedCall]) -> None:
    """Write which calls are to be made again, without the end of a try. Raises LeaseLost."""
    if connection.execute(_JUDGE, {**claim.fence, **judged(claim, calls)}).fetchone() is None:
        raise lost(claim)


def judged(claim: Claim, calls: Iterable[RecordedCall]) -> dict[str, Any]:
    """The parameters of `JUDGED`."""
    marks = [{"ordinal": call.ordinal, "status": call.status, "replay": call.replay} for call in calls]
    return {"judged": json.dumps(marks), "ledger_step": claim.ledger_step}


def _given_begin(call: CallBegin) -> str:
    known: dict[str, Any] = {}
    if (identity := call.identity) is not None:
        known = {
            "branch": identity.branch,
            "digest": identity.digest,
            "place": identity.place,
            "own_key": identity.key,
            "begun": call.begun,
            "births": call.births,
        }
    if call.reserve or call.back:
        more = call.more
        known |= {"held_tokens": call.reserve.tokens, "more_tokens": more.tokens}
        known |= {"held_usd": str(call.reserve.usd), "more_usd": str(more.usd)}
    return given(
        call.claim,
        raw={},
        ledger_step=call.claim.ledger_step,
        ordinal=call.ordinal,
        name=call.name,
        key=call.key,
        at_most_once=call.at_most_once,
        **known,
    )


def _given_end(call: CallEnd) -> str:
    return given(
        call.claim,
        raw={"outcome": call.outcome},
        ledger_step=call.claim.ledger_step,
        ordinal=call.ordinal,
        status=call.status,
        ended=call.ended,
        replay=call.replay,
    )
