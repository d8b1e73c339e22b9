"""POST /purge: a task, or what is kept of a person or a tenant, is deleted."""

from fastapi import Request, Response
from pydantic import Field

from agent_tasks.client.purging import PurgeReport
from agent_tasks.gateway.arrival import Caller
from agent_tasks.gateway.bodies import Body
from agent_tasks.gateway.door import doors, performed
from agent_tasks.gateway.examples import levers as examples
from agent_tasks.gateway.gate import Gate

router = doors()


class PurgeBody(Body):
    """What is to be deleted: a task, a subject of a tenant, or a tenant."""

    task_id: str | None = Field(
        default=None, description="This task, and all below it.", json_schema_extra={"format": "uuid"}
    )
    tenant: str | None = Field(default=None, description="The subject's tenant; alone: all of the tenant.")
    subject: str | None = Field(default=None, description="All of this person or service.")
    cancel: bool = Field(default=False, description="Cancel first what has not ended; else it is 409.")
    dry_run: bool = Field(default=False, description="Say what would go, and delete nothing.")


@router.post("/purge", name="purge", response_model=PurgeReport, responses=examples.purge, summary="Delete for good")
async def purge(request: Request, body: PurgeBody) -> Response:
    """Delete a task with all below it, or what is kept of a person or a tenant, now. The audit stays.

    A request that breaks off is to be sent again: it goes on with what is left.
    """

    def delete(gate: Gate, caller: Caller) -> PurgeReport:
        return gate.client.purge(
            body.task_id, tenant=body.tenant, subject=body.subject, cancel=body.cancel, dry_run=body.dry_run,
            identity=caller.viewer,
        )  # fmt: skip

    return await performed(request, delete)
