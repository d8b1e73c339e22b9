"""What can be done with a task in the console: the forms of its page, and the page that follows each."""

import hashlib
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

from fastapi import Response

from agent_tasks.client.signals import Receipt
from agent_tasks.errors import InvalidInput, InvalidState, PayloadTooLarge
from agent_tasks.gateway.arrival import Caller
from agent_tasks.gateway.console.answering import Answering, forms
from agent_tasks.gateway.console.filled import budget_of, object_of, whole
from agent_tasks.gateway.console.frame import page_of
from agent_tasks.gateway.console.pages import TASK
from agent_tasks.gateway.console.visit import Handler, Visit
from agent_tasks.gateway.gate import Gate
from agent_tasks.gateway.hook_form import HookForm
from agent_tasks.gateway.operations import OPERATIONS
from agent_tasks.gateway.stages.route import find
from agent_tasks.task.snapshot import TaskSnapshot

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
        who = [caller.identity.tenant, caller.identity.subject] if caller.identity else []
        try:
            return task.signal(
                name, filled.payload, signal_id=_once(wait_id, name, who), wait_id=wait_id or None,
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


def _once(wait_id: str, name: str, who: Sequence[str]) -> str | None:
    """By what a person's answer to a wait is known when it is sent again; None where the wait has no id."""
    if not wait_id:
        return None
    return f"console {hashlib.sha256(json.dumps([wait_id, name, *who]).encode()).hexdigest()}"


async def cancel(visit: Visit) -> Response:
    """End a task and all below it."""
    given = await visit.form()
    reason = given.get("reason", "").strip() or "cancelled in the console"

    return await _on_task(visit, "cancel", lambda gate, caller: find(gate, caller, visit.path["id"]).cancel(reason))


async def resume(visit: Visit) -> Response:
    """Go on from a checkpoint of a task that has ended, as a new task."""
    given = await visit.form()

    async def work() -> Response:
        budget, step = budget_of(given), whole(given.get("from_step", ""), "from_step")
        state = object_of(given["state"], "What the step is given", "state") if "state" in given else None

        def go_on(gate: Gate, caller: Caller) -> str:
            return str(find(gate, caller, visit.path["id"]).resume(budget=budget, from_step=step, state=state).id)

        return done(visit, await visit.act(OPERATIONS["resume"], go_on), "resume")

    more = {"fork": {"step": given.get("from_step", ""), "state": given["state"]}} if "state" in given else {}
    return await _or_told(visit, work, **more)


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


LEVERS: list[tuple[str, str, Handler]] = [
    ("/tasks/{id}/signal", "signal", signal),
    ("/tasks/{id}/cancel", "cancel", cancel),
    ("/tasks/{id}/resume", "resume", resume),
    ("/tasks/{id}/acknowledge", "acknowledge", acknowledge),
    ("/tasks/{id}/pause", "pause", pause),
    ("/tasks/{id}/unpause", "unpause", unpause),
]
"""The path of each form, its name, and what takes it."""


def done(visit: Visit, task_id: str, said: str) -> Response:
    """Go on to the page of a task, which says what was done."""
    return visit.to(f"/tasks/{task_id}?said={said}")


async def _on_task(visit: Visit, operation: str, act: Callable[[Gate, Caller], object]) -> Response:
    """Do one thing to the task of this page, and come back to it."""

    async def work() -> Response:
        await visit.act(OPERATIONS[operation], act)
        return done(visit, visit.path["id"], operation)

    return await _or_told(visit, work)


async def _or_told(visit: Visit, work: Callable[[], Awaitable[Response]], **more: Any) -> Response:
    """The answer of `work`, or the task's page with what went wrong, and with `more` in its template."""
    try:
        return await work()
    except (InvalidInput, PayloadTooLarge) as error:
        status = 409 if isinstance(error, InvalidState) else 422
        return await page_of(TASK, visit, status, wrong=error.message, **more)


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
