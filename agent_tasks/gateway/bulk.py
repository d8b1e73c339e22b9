"""/bulk: one operation on all tasks of a filter, which the sweeps carry out."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import Header, Path, Request, Response
from pydantic import BaseModel, Field

from agent_tasks.client.bulk import Bulk, BulkOperation
from agent_tasks.errors import InvalidInput
from agent_tasks.gateway.arrival import Caller
from agent_tasks.gateway.bodies import Body, BudgetBody
from agent_tasks.gateway.door import doors, performed
from agent_tasks.gateway.examples import levers as examples
from agent_tasks.gateway.gate import Gate
from agent_tasks.gateway.idempotency import key_of
from agent_tasks.gateway.listing import Limit
from agent_tasks.gateway.operations import BULK_SCOPES, Operation
from agent_tasks.gateway.stages.authorise import authorise
from agent_tasks.gateway.stages.limit import budget_of
from agent_tasks.task.arguments import LARGEST_NUMBER
from agent_tasks.task.task_filter import Scalar, TaskFilter

router = doors()
_TIMES = ("created_after", "created_before", "ended_after", "ended_before")
_TIME: dict[str, Any] = {"format": "date-time"}
IdempotencyKey = Annotated[
    str | None, Header(description="As in the expired draft -07: sending the request again returns the same operation.")
]
Id = Annotated[str, Path(description="The operation's.", json_schema_extra={"format": "uuid"})]


def _time(description: str) -> Any:
    return Field(default=None, description=description, json_schema_extra=_TIME)


class FilterBody(Body):
    """Which tasks are meant: those of which all that is given is true."""

    status: str | None = Field(default=None, description="In this state.")
    agent: str | None = Field(default=None, description="Of this agent.")
    step: str | None = Field(default=None, description="At this step, or ended at it.")
    queue: str | None = Field(default=None, description="On this queue.")
    tenant: str | None = Field(default=None, description="Of this tenant; empty: of none.")
    subject: str | None = Field(default=None, description="Of this person or service.")
    session_id: str | None = Field(default=None, description="Of this conversation.")
    error_type: str | None = Field(default=None, description="Ended with such an error.")
    created_after: str | None = _time("Submitted then or later.")
    created_before: str | None = _time("Submitted earlier.")
    ended_after: str | None = _time("Ended then or later.")
    ended_before: str | None = _time("Ended earlier.")
    metadata: dict[str, Scalar] | None = Field(default=None, description="With these keys and values, at most 8.")
    text: str | None = Field(default=None, description="The beginning of an id, or words of the error.")

    def as_filter(self) -> TaskFilter:
        """The same as a TaskFilter. Raises InvalidInput."""
        given: dict[str, Any] = self.model_dump(exclude_none=True)
        given |= {name: _moment(name, given[name]) for name in _TIMES if name in given}
        return TaskFilter(**given)


def _moment(name: str, given: str) -> datetime:
    try:
        return datetime.fromisoformat(given)
    except ValueError:
        raise InvalidInput(f"{name} must be a time, as 2026-11-27T09:00:00Z", field=name) from None


class BulkBody(Body):
    """What is to be done, and to which tasks."""

    operation: BulkOperation
    filter: FilterBody
    all: bool = Field(default=False, description="All tasks are meant: needed where the filter says nothing.")
    dry_run: bool = Field(default=False, description="Count what would be done, and do nothing.")
    limit: int | None = Field(
        default=None,
        description="Change at most so many, the newest first.",
        json_schema_extra={"minimum": 1, "maximum": LARGEST_NUMBER},
    )
    reason: str | None = Field(default=None, description="Of a cancel.")
    budget: BudgetBody | None = Field(default=None, description="Of a resume.")
    name: str | None = Field(default=None, description="Of a signal.")
    payload: Any = Field(default=None, description="Of a signal.")
    priority: int | None = Field(
        default=None, description="0 to 9, of prioritise.", json_schema_extra={"minimum": 0, "maximum": 9}
    )
    to: str | None = Field(default=None, description="The queue, of a move.")


class Bulks(BaseModel):
    """Operations on many tasks, the latest first."""

    bulks: list[Bulk]


@router.post(
    "/bulk", name="bulk", status_code=202, response_model=Bulk, responses=examples.bulk, summary="Do it to many tasks"
)
async def bulk(request: Request, body: BulkBody, idempotency_key: IdempotencyKey = None) -> Response:
    """Do one thing to all tasks of a filter that the caller may see. The sweeps do it; a dry run is answered at once.

    It takes the scope of what is done, too: `tasks:cancel`, `tasks:signal`, `tasks:write`, or `admin` for a purge.
    """
    key = key_of(idempotency_key)

    def begin(gate: Gate, caller: Caller) -> Bulk:
        authorise_bulk(caller, body.operation)
        limit = body.limit
        if body.operation == "resume" and caller.is_limited and (most := gate.settings.gateway_open_tasks):
            limit = min(limit or most, most)
        return gate.client.bulk(
            body.operation, body.filter.as_filter(), dry_run=body.dry_run, limit=limit, all=body.all,
            reason=body.reason, budget=budget_of(body.budget), name=body.name, payload=body.payload,
            priority=body.priority, to=body.to, wait=False, idempotency_key=key, identity=caller.viewer,
        )  # fmt: skip

    return await performed(request, begin, 202)


@router.get("/bulk", name="list_bulks", response_model=Bulks, responses=examples.list_bulks, summary="Bulk operations")
async def list_bulks(request: Request, limit: Limit = 100) -> Response:
    """The operations on many tasks that the caller may see, those that began last first."""

    def look(gate: Gate, caller: Caller) -> Bulks:
        return Bulks(bulks=gate.client.bulks(limit=limit, identity=caller.viewer))

    return await performed(request, look)


@router.get("/bulk/{id}", name="get_bulk", response_model=Bulk, responses=examples.get_bulk, summary="How far it is")
async def get_bulk(request: Request, id: Id) -> Response:
    """How far an operation on many tasks has come."""
    return await performed(request, lambda gate, caller: gate.client.get_bulk(id, identity=caller.viewer))


@router.post("/bulk/{id}/stop", name="stop_bulk", response_model=Bulk, responses=examples.stop_bulk, summary="Stop it")
async def stop_bulk(request: Request, id: Id) -> Response:
    """Stop an operation after its batch under way; what it has done stays done. It takes the scope that began it."""

    def stop(gate: Gate, caller: Caller) -> Bulk:
        authorise_bulk(caller, gate.client.get_bulk(id, identity=caller.viewer).operation)
        return gate.client.stop_bulk(id, identity=caller.viewer)

    return await performed(request, stop)


def authorise_bulk(caller: Caller, operation: str) -> None:
    """Raise PermissionDenied where the scope of what is done to each of the tasks is missing."""
    authorise(caller, Operation(operation, BULK_SCOPES[operation]))
