"""What can be done in the console: the forms that its pages send, and the page that follows each."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from fastapi import Response

from agent_tasks.client.agents import AgentInfo
from agent_tasks.client.bulk import Bulk
from agent_tasks.client.signals import Receipt
from agent_tasks.errors import InvalidInput, InvalidState, PayloadTooLarge, TaskNotFound
from agent_tasks.gateway.arrival import Caller
from agent_tasks.gateway.bulk import authorise_bulk
from agent_tasks.gateway.console import agents, bulks
from agent_tasks.gateway.console.answering import Answering, forms
from agent_tasks.gateway.console.asked import Asked
from agent_tasks.gateway.console.pages import AGENTS, BULKS, TASK
from agent_tasks.gateway.console.showing import page_of
from agent_tasks.gateway.console.visit import Handler, Visit
from agent_tasks.gateway.gate import Gate
from agent_tasks.gateway.hook_form import HookForm
from agent_tasks.gateway.operations import OPERATIONS
from agent_tasks.gateway.stages.route import find, route
from agent_tasks.task.budget import Budget
from agent_tasks.task.snapshot import TaskSnapshot

_OF_SCHEDULES = {
    "pause": "pause_schedule",
    "unpause": "unpause_schedule",
    "trigger": "trigger_schedule",
    "delete": "unschedule",
}
"""The operation of each lever."""
_BACK = {"inbox": "/inbox"}


class WrongAnswer(InvalidInput):
    """An answer that was not sent, since its form is not filled in as it must be."""

    answering: Answering

    @classmethod
    def of(cls, answering: Answering) -> "WrongAnswer":
        error = cls(answering.problem, field="payload", fields=dict(answering.errors))
        error.answering = answering
        return error


async def signal(visit: Visit) -> Response:
    """Answer a wait. Whoever answers it second is told so, and changes nothing."""
    given = await visit.form()
    name, wait_id = given.get("name", ""), given.get("wait_id", "")

    def send(gate: Gate, caller: Caller) -> Receipt:
        task = find(gate, caller, visit.path["id"])
        form = _form_of(gate, task.read(), name, wait_id)
        filled = form.read(given)
        if filled.errors:
            raise WrongAnswer.of(
                _answering(task.read(), name, wait_id, form, given, filled.errors, "Nothing was sent yet.")
            )
        who = f"{caller.identity.tenant}/{caller.identity.subject}" if caller.identity else "local"
        try:
            return task.signal(
                name, filled.payload, signal_id=f"console {wait_id} {name} {who}"[:255], wait_id=wait_id or None,
                identity=caller.identity,
            )  # fmt: skip
        except InvalidState:
            raise
        except InvalidInput as error:
            field = form.name_of(error.details.get("field", ""))
            wrong = {field: str(error.details["problem"])} if field and "problem" in error.details else {}
            raise WrongAnswer.of(_answering(task.read(), name, wait_id, form, given, wrong, error.message)) from error

    try:
        receipt = await visit.act(OPERATIONS["signal"], send, target=name)
    except WrongAnswer as wrong:
        return await page_of(TASK, visit, 422, answerings=[wrong.answering])
    except InvalidState as error:
        return await page_of(TASK, visit, 409, wrong=error.message)
    said = "signal" if receipt.delivered else "kept" if receipt.kept else "again"
    back = _BACK.get(given.get("back", ""), f"/tasks/{visit.path['id']}")
    return visit.to(f"{back}?said={said}")


async def cancel(visit: Visit) -> Response:
    """End a task and all below it."""
    given = await visit.form()
    reason = given.get("reason", "").strip() or "cancelled in the console"

    return await _on_task(visit, "cancel", lambda gate, caller: find(gate, caller, visit.path["id"]).cancel(reason))


async def resume(visit: Visit) -> Response:
    """Go on from a checkpoint of a task that has ended, as a new task."""
    given = await visit.form()

    async def work() -> Response:
        budget, step = _budget_of(given), _whole(given.get("from_step", ""), "from_step")

        def go_on(gate: Gate, caller: Caller) -> str:
            return str(find(gate, caller, visit.path["id"]).resume(budget=budget, from_step=step).id)

        return _done(visit, await visit.act(OPERATIONS["resume"], go_on), "resume")

    return await _or_told(visit, work)


async def acknowledge(visit: Visit) -> Response:
    """Say that a result was taken."""
    await visit.form()
    return await _on_task(visit, "acknowledge", lambda gate, caller: find(gate, caller, visit.path["id"]).acknowledge())


async def pause(visit: Visit) -> Response:
    """Begin no more steps of a task and of all below it."""
    given = await visit.form()
    reason = given.get("reason", "").strip() or None

    def hold(gate: Gate, caller: Caller) -> None:
        gate.client.pause(find(gate, caller, visit.path["id"]), reason=reason, identity=caller.viewer)

    return await _on_task(visit, "pause", hold)


async def unpause(visit: Visit) -> Response:
    """Let a task go on that was paused."""
    await visit.form()

    def let_go(gate: Gate, caller: Caller) -> None:
        gate.client.resume_paused(find(gate, caller, visit.path["id"]), identity=caller.viewer)

    return await _on_task(visit, "unpause", let_go)


async def submit(visit: Visit) -> Response:
    """Submit a task of an agent, with the input that was filled in."""
    given, name = await visit.form(), visit.path["name"]
    known = await visit.gate.in_thread(lambda gate: gate.client.agents())
    agent = next((each for each in known if each.name == name), None)
    if agent is None:
        raise TaskNotFound(f"No agent is named {name!r}.")
    form = agents.form_of(agent)
    filled = form.read(given) if form.fields else None
    if filled is not None and filled.errors:
        return await _asked_again(visit, agent, given, "Nothing was submitted yet.", filled.errors)

    def accept(gate: Gate, caller: Caller) -> str:
        to = route(gate, caller, agent.name, None, None)
        task = gate.client.new_task(
            to.target, filled.payload if filled else {}, None, identity=caller.identity, queue=to.queue
        )
        return str(gate.accepting.accept(task).id)

    try:
        return _done(visit, await visit.act(OPERATIONS["submit"], accept, target=name), "submit")
    except (InvalidInput, PayloadTooLarge) as error:
        return await _asked_again(visit, agent, given, error.message, {})


async def _asked_again(
    visit: Visit, agent: AgentInfo, given: dict[str, str], problem: str, errors: dict[str, str]
) -> Response:
    values = {each.name: given.get(each.name, "") for each in agents.form_of(agent).fields}
    asking = replace(agents.asking(agent), values=values, errors=errors, problem=problem)
    return await page_of(AGENTS, visit, 422, agents=[asking])


async def schedule(visit: Visit) -> Response:
    """Pause a schedule, let it go on, fire it now, or delete it."""
    given, name = await visit.form(), visit.path["name"]
    tenant, lever = given.get("tenant", ""), given.get("lever", "")
    reason = given.get("reason", "").strip() or None

    def work(gate: Gate, caller: Caller) -> str | None:
        client, viewer = gate.client, caller.viewer
        match lever:
            case "pause":
                client.pause_schedule(name, reason=reason, tenant=tenant, identity=viewer)
            case "unpause":
                client.unpause_schedule(name, tenant=tenant, identity=viewer)
            case "trigger":
                return str(client.trigger_schedule(name, tenant=tenant, identity=viewer).id)
            case _:
                if not client.unschedule(name, tenant=tenant, identity=viewer):
                    raise TaskNotFound(f"No schedule is named {name!r}, or it belongs to another.")
        return None

    if lever not in _OF_SCHEDULES:
        raise InvalidInput("A schedule can be paused, unpaused, triggered or deleted.", field="lever")
    submitted = await visit.act(OPERATIONS[_OF_SCHEDULES[lever]], work, target=name)
    if submitted is not None:
        return _done(visit, submitted, "submit")
    return visit.to(f"/schedules?said={_OF_SCHEDULES[lever]}")


async def bulk(visit: Visit) -> Response:
    """Do one thing to all tasks of a filter: counted first, then done."""
    given = await visit.form()
    operation = bulks.OPERATIONS.get(given.get("operation", ""))
    if operation is None:
        raise InvalidInput(f"operation must be one of {', '.join(bulks.OPERATIONS)}", field="operation")
    asked = Asked.of({name: [value] for name, value in given.items()})
    is_sure = given.get("sure") == "yes"

    def begin(gate: Gate, caller: Caller) -> Bulk:
        authorise_bulk(caller, operation)
        most = gate.settings.gateway_open_tasks if operation == "resume" and caller.is_limited else 0
        reason = given.get("reason", "").strip() or "cancelled in the console" if operation == "cancel" else None
        return gate.client.bulk(
            operation, asked.filter, dry_run=not is_sure, limit=most or None, wait=False, identity=caller.viewer,
            reason=reason,
        )  # fmt: skip

    begun = await visit.act(OPERATIONS["bulk"], begin, target=operation)
    if is_sure:
        return visit.to("/bulk?said=bulk")
    return await page_of(BULKS, visit, counted=begun, asked=asked)


async def stop_bulk(visit: Visit) -> Response:
    """Stop an operation on many tasks after its batch under way."""
    await visit.form()
    id = visit.path["bulk"]

    def stop(gate: Gate, caller: Caller) -> None:
        authorise_bulk(caller, gate.client.get_bulk(id, identity=caller.viewer).operation)
        gate.client.stop_bulk(id, identity=caller.viewer)

    await visit.act(OPERATIONS["stop_bulk"], stop, target=id)
    return visit.to("/bulk?said=stop_bulk")


async def replay(visit: Visit) -> Response:
    """Deliver an event once more."""
    await visit.form()
    id = visit.path["delivery"]
    await visit.act(
        OPERATIONS["replay_delivery"],
        lambda gate, caller: gate.client.webhooks.replay(id, identity=caller.viewer),
        target=id,
    )
    return visit.to("/deliveries?said=replay")


LEVERS: list[tuple[str, str, Handler]] = [
    ("/tasks/{id}/signal", "signal", signal),
    ("/tasks/{id}/cancel", "cancel", cancel),
    ("/tasks/{id}/resume", "resume", resume),
    ("/tasks/{id}/acknowledge", "acknowledge", acknowledge),
    ("/tasks/{id}/pause", "pause", pause),
    ("/tasks/{id}/unpause", "unpause", unpause),
    ("/agents/{name}/submit", "submit", submit),
    ("/schedules/{name}", "schedule", schedule),
    ("/bulk", "bulk", bulk),
    ("/bulk/{bulk}/stop", "stop_bulk", stop_bulk),
    ("/deliveries/{delivery}/replay", "replay", replay),
]
"""The path of each form, its name, and what takes it."""


async def _on_task(visit: Visit, operation: str, act: Callable[[Gate, Caller], object]) -> Response:
    """Do one thing to the task of this page, and come back to it."""

    async def work() -> Response:
        await visit.act(OPERATIONS[operation], act)
        return _done(visit, visit.path["id"], operation)

    return await _or_told(visit, work)


async def _or_told(visit: Visit, work: Callable[[], Awaitable[Response]]) -> Response:
    """The answer of `work`, or the task's page with what went wrong."""
    try:
        return await work()
    except InvalidInput as error:
        return await page_of(TASK, visit, 409 if isinstance(error, InvalidState) else 422, wrong=error.message)


def _done(visit: Visit, task_id: str, said: str) -> Response:
    return visit.to(f"/tasks/{task_id}?said={said}")


def _form_of(gate: Gate, task: TaskSnapshot, name: str, wait_id: str) -> HookForm:
    """The form by which a wait is answered. Where it is over, that of any payload: the signal will say so."""
    for known, own, form in forms(gate.client, task):
        if (known, own) == (name, wait_id):
            return form
    return HookForm.of(None)


def _answering(
    task: TaskSnapshot, name: str, wait_id: str, form: HookForm, given: dict[str, str], errors: dict[str, str],
    problem: str,
) -> Answering:  # fmt: skip
    values: dict[str, Any] = {each.name: given.get(each.name, "") for each in form.fields}
    return replace(Answering(task, name, wait_id, form, values), errors=errors, problem=problem)


def _budget_of(given: dict[str, str]) -> Budget | None:
    """The limits that were filled in; None where none was."""
    amounts: dict[str, Any] = {}
    for name in ("seconds", "usd"):
        if text := given.get(name, "").strip():
            try:
                amounts[name] = float(text)
            except ValueError:
                raise InvalidInput(f"{name} must be a number, as 12.5.", field=name) from None
    for name in ("tokens", "steps", "calls"):
        if (number := _whole(given.get(name, ""), name)) is not None:
            amounts[name] = number
    return Budget(**amounts) if amounts else None


def _whole(text: str, name: str) -> int | None:
    if not text.strip():
        return None
    if not (text.strip().isascii() and text.strip().isdecimal() and len(text.strip()) < 16):
        raise InvalidInput(f"{name} must be a whole number, as 12.", field=name)
    return int(text)
