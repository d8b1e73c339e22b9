"""The batched transitions, each for one request: what it is answered is returned or raised."""

from typing import Any, TypeVar
from uuid import UUID

from agent_tasks.store.database import Connection
from agent_tasks.store.rows import Row
from agent_tasks.transitions.checkpoint import Committed, StepCommit, checkpoint_all
from agent_tasks.transitions.claim import Claim, ClaimRow, Wanted, claim_all
from agent_tasks.transitions.complete import Finish, complete_all
from agent_tasks.transitions.ledger import CallBegin, CallEnd, begin_calls, end_calls

T = TypeVar("T")


def claim(connection: Connection, task_id: UUID, step: str, step_number: int, **terms: Any) -> Claim | None:
    (taken,) = claim_all(connection, [Wanted(task_id, step, step_number)], **terms)
    return _answer(taken)


def checkpoint(
    connection: Connection, claim: Claim, committed: Committed, *, in_place: bool, ring_seconds: float
) -> ClaimRow:
    (row,) = checkpoint_all(connection, [StepCommit(claim, committed, in_place)], ring_seconds=ring_seconds)
    return _answer(row)


def complete(connection: Connection, finish: Finish) -> Row:
    (row,) = complete_all(connection, [finish])
    return _answer(row)


def begin_call(
    connection: Connection, claim: Claim, ordinal: int, name: str, *, key: str, at_most_once: bool
) -> int | None:
    (spent,) = begin_calls(connection, [CallBegin(claim, ordinal, name, key, at_most_once)])
    return _answer(spent)


def end_call(connection: Connection, claim: Claim, ordinal: int, *, status: str, outcome: str) -> None:
    (error,) = end_calls(connection, [CallEnd(claim, ordinal, status, outcome)])
    _answer(error)


def _answer(answer: T | Exception) -> T:
    if isinstance(answer, Exception):
        raise answer
    return answer
