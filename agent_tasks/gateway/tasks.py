"""/tasks and /tasks/{id}: submitting tasks, looking at them, and steering them."""

from typing import Annotated

from fastapi import Header, Path, Query, Request, Response
from fastapi.responses import JSONResponse

from agent_tasks.client.handle import TaskHandle
from agent_tasks.client.result import result_of
from agent_tasks.client.signals import Receipt
from agent_tasks.client.tree import TreeNode
from agent_tasks.errors import AgentTaskError
from agent_tasks.gateway import answers, problems
from agent_tasks.gateway.arrival import Caller
from agent_tasks.gateway.bodies import CancelBody, ResumeBody, SignalBody, SubmitBody
from agent_tasks.gateway.door import doors, perform, performed
from agent_tasks.gateway.examples import tasks as examples
from agent_tasks.gateway.gate import Gate
from agent_tasks.gateway.idempotency import key_of
from agent_tasks.gateway.mode import Mode, choose
from agent_tasks.gateway.prefer import Preference
from agent_tasks.gateway.shapes import Submitted
from agent_tasks.gateway.stages.limit import budget_of
from agent_tasks.gateway.stages.route import Route, find, route
from agent_tasks.gateway.submission import accept as accept_task
from agent_tasks.gateway.waiting import until_ended
from agent_tasks.store.queries import doors as asked
from agent_tasks.task.arguments import LONGEST_SIGNAL
from agent_tasks.task.snapshot import TaskSnapshot

router = doors()
IdempotencyKey = Annotated[
    str | None, Header(description="As in the expired draft -07: sending the request again returns the same task.")
]
Prefer = Annotated[
    list[str] | None, Header(description="`wait=N` (RFC 7240): wait up to N seconds, at most 60, for the end.")
]
SignalName = Annotated[
    str, Path(description="The signal's name.", json_schema_extra={"minLength": 1, "maxLength": LONGEST_SIGNAL})
]
Root = Annotated[bool, Query(description="The whole tree to which the task belongs.")]


@router.post(
    "/tasks",
    name="submit",
    status_code=202,
    response_model=Submitted,
    responses=examples.submit,
    summary="Submit a task",
)
async def submit(
    request: Request, body: SubmitBody, idempotency_key: IdempotencyKey = None, prefer: Prefer = None
) -> Response:
    """Accept a task, and answer at once (202), or with its end (200) where the request or the agent says so."""
    key = key_of(idempotency_key)

    def accept(gate: Gate, caller: Caller) -> tuple[TaskHandle, TaskSnapshot, Mode]:
        to = route(gate, caller, body.agent, body.queue, body.session_id)
        mode = _mode(gate, body, to, prefer)
        accepted = accept_task(gate, caller, body, to, key)
        return accepted, accepted.seen or accepted.look(), mode

    task, seen, mode = await perform(request, accept)
    if mode.wait_seconds:
        seen = await until_ended(request, task, mode.wait_seconds)
    status = 200 if mode.wait_seconds and seen.status.is_terminal else 202
    head = {**answers.location(request, seen), **mode.headers}
    return answers.of_task(seen, status, head, mode=mode.name, mode_reason=mode.why)


def _mode(gate: Gate, body: SubmitBody, to: Route, prefer: list[str] | None) -> Mode:
    def past() -> float | None:
        with gate.client.database.connection() as connection:
            return asked.pace(connection, to.target.name)["p95"]

    target = to.target
    return choose(body.mode, target.mode, target.mode_hints, body.input, past, Preference.parse(prefer or []))


@router.get("/tasks/{id}", name="get_task", response_model=TaskSnapshot, responses=examples.get_task, summary="A task")
async def get_task(request: Request, id: str) -> Response:
    """Look at a task: its snapshot, with its version as ETag, and 304 where `If-None-Match` has that version."""

    def look(gate: Gate, caller: Caller) -> TaskSnapshot:
        return find(gate, caller, id).snapshot()

    seen = await perform(request, look)
    if answers.is_known(request, seen):
        return Response(status_code=304, headers={"ETag": answers.etag(seen), **answers.retry_after(seen)})
    return answers.of_task(seen)


@router.get("/tasks/{id}/result", name="get_result", responses=examples.get_result, summary="The result of a task")
async def get_result(request: Request, id: str, prefer: Prefer = None) -> Response:
    """The result (200), the snapshot while the task goes on (202), or the typed error that it ended with (424)."""

    def look(gate: Gate, caller: Caller) -> tuple[TaskHandle, TaskSnapshot]:
        task = find(gate, caller, id)
        return task, task.snapshot()

    task, seen = await perform(request, look)
    if (seconds := Preference.parse(prefer or []).wait_seconds) and not seen.status.is_terminal:
        seen = await until_ended(request, task, seconds)
    if not seen.status.is_terminal:
        return answers.of_task(seen, 202, answers.location(request, seen))
    try:
        return JSONResponse(result_of(seen), headers={"ETag": answers.etag(seen)})
    except AgentTaskError as error:
        return problems.of_failed_task(error)


@router.get(
    "/tasks/{id}/tree",
    name="get_tree",
    response_model=TreeNode,
    responses=examples.get_tree,
    summary="A task and all below it",
)
async def get_tree(request: Request, id: str, root: Root = False) -> Response:
    """The task and all that was spawned below it, at one moment; with `root` the whole tree to which it belongs."""

    return await performed(request, lambda gate, caller: find(gate, caller, id).tree(root=root))


@router.post(
    "/tasks/{id}/cancel", name="cancel", response_model=TaskSnapshot, responses=examples.cancel, summary="Cancel a task"
)
async def cancel(request: Request, id: str, body: CancelBody | None = None) -> Response:
    """End a task and all below it; a task that has ended stays as it is."""
    reason = (body or CancelBody()).reason
    return answers.of_task(await perform(request, lambda gate, caller: find(gate, caller, id).cancel(reason)))


@router.post(
    "/tasks/{id}/signals/{name}",
    name="signal",
    response_model=Receipt,
    responses=examples.signal,
    summary="Send a task a signal",
)
async def signal(request: Request, id: str, name: SignalName, body: SignalBody | None = None) -> Response:
    """Send a task a signal; one that comes before its wait is kept for it."""
    given = body or SignalBody()

    def send(gate: Gate, caller: Caller) -> Receipt:
        return find(gate, caller, id).signal(
            name, given.payload, signal_id=given.signal_id, wait_id=given.wait_id, identity=caller.identity
        )

    return await performed(request, send)


@router.post(
    "/tasks/{id}/resume",
    name="resume",
    status_code=202,
    response_model=TaskSnapshot,
    responses=examples.resume,
    summary="Resume a task",
)
async def resume(request: Request, id: str, body: ResumeBody | None = None) -> Response:
    """A new task that goes on from the last checkpoint of one that has ended, with a fresh budget."""
    given = body or ResumeBody()

    def go_on(gate: Gate, caller: Caller) -> TaskSnapshot:
        resumed = find(gate, caller, id).resume(
            budget=budget_of(given.budget),
            from_step=given.from_step,
            state=given.state,
            callback_url=given.callback_url,
        )
        return resumed.seen or resumed.look()

    seen = await perform(request, go_on)
    return answers.of_task(seen, 202, answers.location(request, seen))


@router.post(
    "/tasks/{id}/acknowledge",
    name="acknowledge",
    response_model=TaskSnapshot,
    responses=examples.acknowledge,
    summary="Acknowledge a result",
)
async def acknowledge(request: Request, id: str) -> Response:
    """Say that the result was taken: the task may be purged after a tenth of the retention."""
    return answers.of_task(await perform(request, lambda gate, caller: find(gate, caller, id).acknowledge()))
