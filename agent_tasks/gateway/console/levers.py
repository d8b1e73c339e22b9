"""What can be done beside a task's page: the forms that other pages send, and the page that follows each."""

import hashlib
import json
import secrets
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from fastapi import Response

from agent_tasks.client.agents import AgentInfo
from agent_tasks.client.bulk import Bulk
from agent_tasks.errors import InvalidInput, PayloadTooLarge, TaskNotFound
from agent_tasks.gateway.arrival import Caller
from agent_tasks.gateway.bulk import authorise_bulk
from agent_tasks.gateway.console import agents, bulks, task_levers
from agent_tasks.gateway.console.asked import Asked, moment
from agent_tasks.gateway.console.filled import budget_of, object_of
from agent_tasks.gateway.console.frame import page_of
from agent_tasks.gateway.console.pages import AGENTS, BULKS
from agent_tasks.gateway.console.task_levers import done
from agent_tasks.gateway.console.visit import Handler, Visit
from agent_tasks.gateway.gate import Gate
from agent_tasks.gateway.operations import OPERATIONS
from agent_tasks.gateway.stages.route import route
from agent_tasks.store.queries import console

_OF_SCHEDULES = {
    "pause": "pause_schedule",
    "unpause": "unpause_schedule",
    "trigger": "trigger_schedule",
    "delete": "unschedule",
}
"""The operation of each lever."""


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
        value = filled.payload if filled else {}
        session_id = given.get("session_id", "").strip() or None
        said = given.get("metadata", "").strip()
        metadata = object_of(said, "The metadata", "metadata") if said else None
        to = route(gate, caller, agent.name, None, session_id)
        task = gate.client.new_task(
            to.target, value, budget_of(given), identity=caller.identity, queue=to.queue, session_id=session_id,
            metadata=metadata,
        )  # fmt: skip
        once = given.get("once", "")
        if not once:
            return str(gate.accepting.accept(task).id)
        digest = hashlib.sha256(json.dumps([name, given], sort_keys=True).encode())
        key = f"console {once[:64]} {digest.hexdigest()}"  # of this form, as it was filled in
        return str(gate.client.accept(task, idempotency_key=key, request=digest.digest()).id)

    try:
        return done(visit, await visit.act(OPERATIONS["submit"], accept, target=name), "submit")
    except (InvalidInput, PayloadTooLarge) as error:
        return await _asked_again(visit, agent, given, error.message, {})


async def _asked_again(
    visit: Visit, agent: AgentInfo, given: dict[str, str], problem: str, errors: dict[str, str]
) -> Response:
    values = {each.name: given.get(each.name, "") for each in agents.form_of(agent).fields}
    also = {name: given.get(name, "") for name in agents.ALSO}
    asking = replace(agents.asking(agent), values=values, also=also, errors=errors, problem=problem)
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
        return done(visit, submitted, "submit")
    return visit.to(f"/schedules?said={_OF_SCHEDULES[lever]}")


async def bulk(visit: Visit) -> Response:
    """Do one thing to all tasks of a filter: counted first, then done."""
    given = await visit.form()
    operation = bulks.OPERATIONS.get(given.get("operation", ""))
    if operation is None:
        raise InvalidInput(f"operation must be one of {', '.join(bulks.OPERATIONS)}", field="operation")
    asked = Asked.of({name: [value] for name, value in given.items()})
    options = bulks.Options.of(operation, given)
    is_sure = given.get("sure") == "yes"
    key = f"console {once[:64]}" if (once := given.get("once", "")) else None  # sent twice, it is done once

    def begin(gate: Gate, caller: Caller) -> Bulk:
        authorise_bulk(caller, operation)
        most = gate.settings.gateway_open_tasks if operation == "resume" and caller.is_limited else 0
        return gate.client.bulk(
            operation, asked.filter, dry_run=not is_sure, limit=most or None, wait=False, idempotency_key=key,
            identity=caller.viewer, **options.values,
        )  # fmt: skip

    begun = await visit.act(OPERATIONS["bulk"], begin, target=operation)
    if is_sure:
        return visit.to("/bulk?said=bulk")
    return await page_of(BULKS, visit, counted=begun, asked=asked, options=options.given, once=secrets.token_hex(8))


async def pause(visit: Visit) -> Response:
    """Pause an agent, a queue or a tenant, or let it go on."""
    given = await visit.form()
    kind, name, lever = given.get("kind", ""), given.get("name", ""), given.get("lever", "")
    if kind not in ("agent", "queue", "tenant", "task") or lever not in ("pause", "unpause"):
        raise InvalidInput("An agent, a queue, a tenant or a task can be paused or unpaused.", field="kind")
    of: dict[str, Any] = {kind: name}
    if kind in ("agent", "queue") and given.get("tenant"):
        of["tenant"] = given["tenant"]

    def work(gate: Gate, caller: Caller) -> None:
        if lever == "pause":
            reason = given.get("reason", "").strip() or None
            gate.client.pause(reason=reason, identity=caller.viewer, **of)
        else:
            gate.client.resume_paused(identity=caller.viewer, **of)

    await visit.act(OPERATIONS["begin_pause" if lever == "pause" else "end_pause"], work, target=f"{kind} {name}"[:200])
    return visit.to(f"?said={lever}_all")


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


async def replay_range(visit: Visit) -> Response:
    """Deliver once more what an endpoint was to be told within a time."""
    given = await visit.form()
    name, only = given.get("webhook", ""), given.get("only", "failed")
    if only not in ("failed", "all"):
        raise InvalidInput("only must be failed or all.", field="only")
    ends = {end: text for end in ("after", "until") if (text := given.get(end, "").strip())}

    def again(gate: Gate, caller: Caller) -> int:
        with gate.client.database.connection() as connection:
            now = console.now(connection)["now"]
        times: dict[str, Any] = {}
        for end, text in ends.items():
            time = moment(text, end)
            times[end] = now - time if isinstance(time, timedelta) else time
        tenant = given.get("tenant", "") if caller.viewer is None else caller.tenant
        return gate.client.webhooks.replay_range(name, only=only, tenant=tenant, identity=caller.viewer, **times)

    await visit.act(OPERATIONS["replay_deliveries"], again, target=name)
    return visit.to(f"/deliveries?{urlencode({'webhook': name, 'tenant': given.get('tenant', '')})}&said=replay_range")


LEVERS: list[tuple[str, str, Handler]] = [
    *task_levers.LEVERS,
    ("/agents/{name}/submit", "submit", submit),
    ("/schedules/{name}", "schedule", schedule),
    ("/pauses", "pauses", pause),
    ("/bulk", "bulk", bulk),
    ("/bulk/{bulk}/stop", "stop_bulk", stop_bulk),
    ("/deliveries/replay", "replay_range", replay_range),
    ("/deliveries/{delivery}/replay", "replay", replay),
]
"""The path of each form, its name, and what takes it."""
