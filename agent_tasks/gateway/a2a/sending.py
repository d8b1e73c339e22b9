"""Sending: a message begins a task, or is a signal to one."""

from dataclasses import dataclass
from uuid import uuid4

from agent_tasks.client import pushes
from agent_tasks.client.handle import TaskHandle
from agent_tasks.errors import AgentTaskError, IdempotencyConflict, InvalidInput, InvalidState
from agent_tasks.gateway.a2a.call import key_of
from agent_tasks.gateway.a2a.history import SIGNAL_IDS
from agent_tasks.gateway.a2a.incoming import IncomingMessage
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

    def send(self, gate: Gate, caller: Caller, incoming: IncomingMessage, push: PushRow | None = None) -> Sent:
        """Begin the task or send the signal that a message is, and keep the address that is to be told of the task.

        Raises what a submit and a signal raise.
        """
        way = self._signal if incoming.message.task_id else self._begin
        return way(gate, caller, incoming, push)

    def _begin(self, gate: Gate, caller: Caller, incoming: IncomingMessage, push: PushRow | None) -> Sent:
        """Begin a task. A message that has begun one is that task, whatever has become of its skill since."""
        key = key_of(incoming.id)
        try:
            accepted, is_new = self._accept(gate, caller, incoming, push, key)
        except AgentTaskError:
            found = gate.client.find_accepted(key, incoming.digest, caller.identity)
            if found is None:
                raise
            accepted, is_new = found, False
        skills = self._skills.read()
        if is_new:
            seen = accepted.seen or accepted.look()
            return Sent(accepted, seen, skills.by_agent.get(seen.agent))
        after = _last_event(gate, accepted)
        seen = skills.check_shown(accepted.read())
        if push is not None and not seen.status.is_terminal:
            pushes.put_push(gate.client, accepted.id, push, caller.identity)
        return Sent(accepted, seen, skills.by_agent.get(seen.agent), after)

    def _accept(
        self, gate: Gate, caller: Caller, incoming: IncomingMessage, push: PushRow | None, key: str
    ) -> tuple[TaskHandle, bool]:
        """Make a task of a message, or find the one that it has begun; and whether it is new."""
        skill = self._skills.read().choose(incoming.options.skill, caller)
        arguments, text = incoming.arguments(skill.agent.input_schema, skill.id)
        session = incoming.message.context_id or str(uuid4())
        to = route(gate, caller, skill.agent.name, None, session)
        kept = {"message_id": incoming.id, **({} if text is None else {"text": text})}
        task = gate.client.new_task(
            to.target,
            arguments,
            budget_of(incoming.options.budget),
            identity=caller.identity,
            session_id=session,
            queue=to.queue,
            metadata={**incoming.metadata, KEPT: kept},
        )

        def keep(connection: Connection) -> None:
            if push is not None:
                pushes.keep(connection, task.id, push, caller.identity)

        accepted = gate.client.accept(task, idempotency_key=key, request=incoming.digest, waits=True, also=keep)
        return accepted, accepted.id == task.id

    def _signal(self, gate: Gate, caller: Caller, incoming: IncomingMessage, push: PushRow | None) -> Sent:
        skills = self._skills.read()
        task = find(gate, caller, incoming.message.task_id)
        seen = skills.check_shown(task.read())
        skill = skills.by_agent.get(seen.agent)
        given = incoming.message.context_id
        if given and given != context_of(seen):
            raise InvalidInput(
                f"Task {seen.id} is of the context {context_of(seen)}, not of the one that the message names. Leave "
                "contextId out, or name that.",
                field="message.contextId",
            )
        is_sent = _is_sent(gate, caller, incoming, task)
        after = _last_event(gate, task)
        if push is not None and not seen.status.is_terminal:
            pushes.put_push(gate.client, seen.id, push, caller.identity)
        if not is_sent:
            name, wait_id = _name_of(incoming, seen)
            is_awaited = name in awaited(seen)
            payload = incoming.payload(payload_schema(seen, skill) if is_awaited else None, f"The signal {name!r}")
            receipt = task.signal(
                name, payload, signal_id=_signal_id(incoming), wait_id=wait_id, identity=caller.identity
            )
            if not receipt.kept:  # another request with the id was faster
                _is_sent(gate, caller, incoming, task)
        return Sent(task, task.read(), skill, after)


def _signal_id(incoming: IncomingMessage) -> str:
    return f"{SIGNAL_IDS}{incoming.id}"


def _is_sent(gate: Gate, caller: Caller, incoming: IncomingMessage, task: TaskHandle) -> bool:
    """Whether a message was sent to the task before. Raises IdempotencyConflict where another one has its id."""
    with gate.client.database.connection() as connection:
        sent = signal.sent(connection, task.id, _signal_id(incoming))
    if sent is not None and not incoming.is_sent(sent, caller.identity):
        raise IdempotencyConflict(
            f"Another message to task {task.id} has the id {incoming.id!r}. Give each message an id of its own.",
            field="message.messageId",
        )
    return sent is not None


def _last_event(gate: Gate, task: TaskHandle) -> int:
    with gate.client.database.connection() as connection:
        return read.last_event(connection, task.id)


def _name_of(incoming: IncomingMessage, seen: TaskSnapshot) -> tuple[str, str | None]:
    """Which signal a message is, and which wait it answers. Raises InvalidState where the task asks for none."""
    names, waiting = awaited(seen), seen.waiting_for
    name = incoming.options.signal or (names[0] if len(names) == 1 else None)
    if name is not None:
        wait_id = incoming.options.wait_id
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
