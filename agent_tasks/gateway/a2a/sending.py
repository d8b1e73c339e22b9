"""Sending: a message begins a task, or is a signal to one."""

import hashlib
import json
from dataclasses import dataclass
from uuid import uuid4

from agent_tasks.client import pushes
from agent_tasks.client.handle import TaskHandle
from agent_tasks.errors import InvalidInput, InvalidState
from agent_tasks.gateway.a2a.asked import Asked
from agent_tasks.gateway.a2a.call import key_of
from agent_tasks.gateway.a2a.history import SIGNAL_IDS
from agent_tasks.gateway.a2a.skills import Skill, SkillReader
from agent_tasks.gateway.a2a.tasks import KEPT, awaited, context_of, payload_schema
from agent_tasks.gateway.arrival import Caller
from agent_tasks.gateway.gate import Gate
from agent_tasks.gateway.stages.limit import budget_of
from agent_tasks.gateway.stages.route import find, route
from agent_tasks.store.database import Connection
from agent_tasks.store.queries import read
from agent_tasks.task.snapshot import TaskSnapshot
from agent_tasks.transitions import signal
from agent_tasks.transitions.push import PushRow


@dataclass(frozen=True)
class Sent:
    """The task that a message has begun, or reached."""

    task: TaskHandle
    seen: TaskSnapshot
    skill: Skill | None
    after: int = 0
    """The seq of the task's last event before the message; of one that was sent before, of the last until now."""


class Sending:
    """Carries out messages. Called in a thread."""

    def __init__(self, skills: SkillReader) -> None:
        self._skills = skills

    def send(self, gate: Gate, caller: Caller, asked: Asked, push: PushRow | None = None) -> Sent:
        """Begin the task or send the signal that a message is, and keep the address that is to be told of the task.

        Raises what a submit and a signal raise.
        """
        way = self._signal if asked.message.task_id else self._begin
        return way(gate, caller, asked, push)

    def _begin(self, gate: Gate, caller: Caller, asked: Asked, push: PushRow | None) -> Sent:
        skills = self._skills.read()
        skill = skills.choose(asked.said.skill, caller)
        arguments, text = asked.arguments(skill.agent.input_schema, skill.id)
        session = asked.message.context_id or str(uuid4())
        to = route(gate, caller, skill.agent.name, None, session)
        kept = {"message_id": asked.id, **({} if text is None else {"text": text})}
        task = gate.client.new_task(
            to.target,
            arguments,
            budget_of(asked.said.budget),
            identity=caller.identity,
            session_id=session,
            queue=to.queue,
            metadata={**asked.metadata, KEPT: kept},
        )
        said = asked.said.model_dump(exclude_unset=True)
        whole = json.dumps([skill.id, arguments, asked.message.context_id, asked.metadata, said], sort_keys=True)

        def keep(connection: Connection) -> None:
            if push is not None:
                pushes.keep(connection, task.id, push, caller.identity)

        digest = hashlib.sha256(whole.encode()).digest()
        accepted = gate.client.accept(task, idempotency_key=key_of(asked.id), request=digest, waits=True, also=keep)
        if accepted.id == task.id:
            seen = accepted.seen or accepted.look()
            return Sent(accepted, seen, skills.by_agent.get(seen.agent))
        after = _last_event(gate, accepted)
        seen = accepted.read()
        if push is not None and not seen.status.is_terminal:
            pushes.put_push(gate.client, accepted.id, push, caller.identity)
        return Sent(accepted, seen, skills.by_agent.get(seen.agent), after)

    def _signal(self, gate: Gate, caller: Caller, asked: Asked, push: PushRow | None) -> Sent:
        skills = self._skills.read()
        task = find(gate, caller, asked.message.task_id)
        seen = skills.check_shown(task.read())
        skill = skills.by_agent.get(seen.agent)
        given = asked.message.context_id
        if given and given != context_of(seen):
            raise InvalidInput(
                f"Task {seen.id} is of the context {context_of(seen)}, not of the one that the message names. Leave "
                "contextId out, or name that.",
                field="message.contextId",
            )
        id = f"{SIGNAL_IDS}{asked.id}"
        with gate.client.database.connection() as connection:
            is_sent = signal.receipt(connection, seen.id, id) is not None
        after = _last_event(gate, task)
        if push is not None and not seen.status.is_terminal:
            pushes.put_push(gate.client, seen.id, push, caller.identity)
        if not is_sent:
            name, wait_id = _name_of(asked, seen)
            is_awaited = name in awaited(seen)
            payload = asked.payload(payload_schema(seen, skill) if is_awaited else None, f"The signal {name!r}")
            task.signal(name, payload, signal_id=id, wait_id=wait_id, identity=caller.identity)
        return Sent(task, task.read(), skill, after)


def _last_event(gate: Gate, task: TaskHandle) -> int:
    with gate.client.database.connection() as connection:
        return read.last_event(connection, task.id)


def _name_of(asked: Asked, seen: TaskSnapshot) -> tuple[str, str | None]:
    """Which signal a message is, and which wait it answers. Raises InvalidState where the task asks for none."""
    names, waiting = awaited(seen), seen.waiting_for
    name = asked.said.signal or (names[0] if len(names) == 1 else None)
    if name is not None:
        wait_id = asked.said.wait_id
        if wait_id is None and name in names and waiting is not None:
            wait_id = (waiting.wait_ids or {}).get(name) or waiting.wait_id
        return name, wait_id
    if seen.status.is_terminal:
        raise InvalidState(f"Task {seen.id} has ended as {seen.status}: it takes no more messages.")
    if not names:
        raise InvalidState(
            f"Task {seen.id} does not wait for input. To have a signal kept until it does, name it in the message's "
            'metadata: {"agent-tasks": {"signal": "…"}}.'
        )
    raise InvalidInput(
        f"Task {seen.id} waits for {', '.join(names)}: say in the message's metadata which of them this is: "
        '{"agent-tasks": {"signal": "…"}}.',
        field="message.metadata.agent-tasks.signal",
    )
