"""Stage six: do what was asked for, and audit it."""

import logging
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TypeVar
from uuid import UUID

from agent_tasks.errors import AgentTaskError
from agent_tasks.gateway.arrival import Admitted, Arrival, Caller
from agent_tasks.gateway.gate import Gate
from agent_tasks.store.errors import Transient
from agent_tasks.task.origin import Origin, through
from agent_tasks.transitions import audit

log = logging.getLogger(__name__)
T = TypeVar("T")


def submit(gate: Gate, admitted: Admitted, work: Callable[[Caller], T]) -> T:
    """Do `work` as the caller, known to the audit as coming through this door. Raises what `work` raises."""
    with auditing(gate, admitted.arrival, admitted.caller):
        return work(admitted.caller)


@contextmanager
def auditing(gate: Gate, arrival: Arrival, caller: Caller) -> Generator[None]:
    """Within it writes are audited as the caller's, by themselves; one that is refused is audited here."""
    place = audit.short(arrival.origin)
    origin = Origin(arrival.door, place, caller.identity, caller.key_id, caller.tenant, arrival.traceparent)
    with through(origin):
        try:
            yield
        except AgentTaskError as error:
            if arrival.operation.writes:
                _note_refusal(gate, arrival, caller, error)
            raise


def _note_refusal(gate: Gate, arrival: Arrival, caller: Caller, error: AgentTaskError) -> None:
    try:
        with gate.client.database.connection() as connection:
            audit.refused(
                connection,
                arrival.operation.written_as or arrival.operation.name,
                caller.identity,
                str(error.info.type),
                task_id=_task_id(arrival.task_id),
                target=arrival.target,
            )
    except Transient as away:  # the caller is told why the request was refused, not of this
        log.error("refusal not audited: operation=%s error=%s", arrival.operation.name, away)


def _task_id(named: str | None) -> UUID | None:
    try:
        return UUID(named) if named else None
    except ValueError:  # no id of anything: the caller is told so
        return None
