"""Sending a signal: it is checked against what the waiting step accepts, then kept or delivered."""

from typing import Any

from pydantic import BaseModel

from agent_tasks.authoring.agent import checked_against, loaded_agents
from agent_tasks.client.serving import with_unserved
from agent_tasks.deployment import Deployment
from agent_tasks.errors import InvalidInput, InvalidState, TaskNotFound
from agent_tasks.store.database import Connection
from agent_tasks.store.queries import catalog
from agent_tasks.store.rows import Row
from agent_tasks.task import payloads
from agent_tasks.task.arguments import LONGEST_SIGNAL, check_text
from agent_tasks.task.identity import Identity
from agent_tasks.task.snapshot import TaskSnapshot
from agent_tasks.task.unserved import Unserved
from agent_tasks.transitions import signal


class Receipt(BaseModel):
    """The receipt of a signal: whether it was kept and delivered."""

    kept: bool
    """False: this `signal_id` had been sent before, so nothing has changed. (After the task's end the first receipt
    is given again.)"""
    delivered: bool
    """True: the task was waiting for it and goes on. False: it is in the inbox until the task waits for it."""
    waiting_for: list[str] = []
    """The names the task waits for, if they are others or more are needed."""
    unserved: Unserved | None = None
    """Why no living worker would run the task's step; None where one would."""


def send_signal(
    deployment: Deployment,
    task: TaskSnapshot,
    name: str,
    payload: Any,
    *,
    signal_id: str | None,
    wait_id: str | None,
    sender: Identity | None,
) -> Receipt:
    """Send a signal to a task. Raises InvalidInput, PayloadTooLarge, InvalidState."""
    check_text(name, "name", LONGEST_SIGNAL)
    if signal_id is not None:
        check_text(signal_id, "signal_id", 255)
    if wait_id is not None:
        check_text(wait_id, "wait_id", 255)
    definition = _Definition(deployment, task.agent)
    text = payloads.encode(payload, "payload", limit=deployment.settings.payload_limit)
    if sender is not None:
        payloads.encode(sender.model_dump(mode="json"), "identity")

    def keep_and_deliver(connection: Connection) -> tuple[Receipt, list[Row]]:
        row = signal.lock(connection, task.id)
        if row is None:
            raise TaskNotFound(f"No task {task.id}: it was purged after its retention.")
        if _is_over(row) and signal_id and (kept := signal.receipt(connection, task.id, signal_id)):
            return Receipt(kept=True, **kept), []
        _check_open(row)
        if wait_id is not None and wait_id != _wait_id(row):
            if signal_id and signal.receipt(connection, task.id, signal_id):
                return _nothing_new(deployment, connection, row)
            raise _wait_is_over(row, wait_id)
        if wait_id is not None and name not in _names(row):
            raise InvalidInput(f"This wait is for {', '.join(_names(row))}, not {name!r}", field="name")
        if name in _names(row):
            definition.check_payload(row["step"], payloads.stored(text))
        kept = signal.keep(
            connection,
            task.id,
            name,
            text,
            signal_id=signal_id,
            sender=sender,
            wait_id=wait_id,
            waiting_for=_names(row),
        )
        if kept is None:
            return _nothing_new(deployment, connection, row)
        if name not in _names(row):
            definition.check_name(name)
        delivered = signal.deliver(
            connection, task.id, ring_seconds=deployment.settings.ring_seconds, signal_id=signal_id
        )
        now = delivered or kept
        receipt = Receipt(
            kept=True,
            delivered=delivered is not None,
            waiting_for=[] if delivered else _names(kept),
            unserved=_unserved(deployment, connection, now),
        )
        return receipt, [now]

    return deployment.commit_for(keep_and_deliver)


def _nothing_new(deployment: Deployment, connection: Connection, row: Row) -> tuple[Receipt, list[Row]]:
    return Receipt(kept=False, delivered=False, unserved=_unserved(deployment, connection, row)), []


def _unserved(deployment: Deployment, connection: Connection, row: Row) -> Unserved | None:
    return with_unserved(deployment, connection, [TaskSnapshot.from_row(row)])[0].unserved


def _is_over(row: Row) -> bool:
    return row["finished_at"] is not None or row["ending"] is not None


def _check_open(row: Row) -> None:
    if _is_over(row):
        raise InvalidState(
            f"Task {row['id']} has ended as {row['status']}: it no longer takes signals.", status=row["status"]
        )


def _wait_is_over(row: Row, wait_id: str) -> InvalidState:
    names = ", ".join(_names(row))
    now = f"It waits for {names} now: look at it before you answer." if names else "It waits for no signal now."
    return InvalidState(
        f"The wait {wait_id} of task {row['id']} is over, so nothing was sent. {now}",
        wait_id=wait_id,
        waiting_for=_names(row),
    )


def _wait_id(row: Row) -> str | None:
    return (row["waiting_for"] or {}).get("wait_id")


def _names(row: Row) -> list[str]:
    waiting: dict[str, Any] = row["waiting_for"] or {}
    return waiting["names"] if waiting.get("kind") == "signal" else []


class _Definition:
    """An agent's declaration of its signals, from its code or from a worker's registration."""

    def __init__(self, deployment: Deployment, agent: str) -> None:
        self._agent = agent
        self._code = loaded_agents().get(agent)
        self._registered: dict[str, Any] = {}
        if self._code is None:
            with deployment.database.connection() as connection:
                self._registered = catalog.registered_agent(connection, agent) or {}
        self._names = self._code.signals if self._code else self._registered.get("signals")

    def check_name(self, name: str) -> None:
        """Raise InvalidInput if the agent declares its signals and this name is not one of them."""
        if self._names is not None and name not in self._names:
            known = ", ".join(sorted(self._names)) or "none"
            raise InvalidInput(
                f"Agent {self._agent!r} takes no signal {name!r}; it declares {known}. Send one of those, or add the "
                f"name to Agent({self._agent!r}, signals=[...]).",
                field="name",
            )

    def check_payload(self, step_name: str, payload: Any) -> None:
        """Raise InvalidInput if the waiting step does not accept the payload, which is JSON: it keeps waiting."""
        if self._code is None:
            schemas = self._registered.get("payload_schemas") or {}
            try:
                checked_against(schemas.get(step_name), payload, f"{self._agent}.{step_name}", "signal")
            except InvalidInput as error:
                raise InvalidInput(f"{error.message}. The task keeps waiting.", **error.details) from None
            return
        step = self._code.steps.get(step_name)
        if step is not None and (why := step.refusal(payload)):
            raise InvalidInput(
                f"{step.task_name} does not accept this signal: {why}. It keeps waiting.", field=why.split(":")[0]
            )
