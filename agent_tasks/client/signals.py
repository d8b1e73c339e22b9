"""Sending a signal: it is checked against what the waiting step accepts, then kept or delivered."""

from typing import Any

from pydantic import BaseModel

from agent_tasks.client.serving import with_unserved
from agent_tasks.client.taken_signals import TakenSignals
from agent_tasks.deployment import Deployment
from agent_tasks.errors import InvalidInput, InvalidState, TaskNotFound
from agent_tasks.store.database import Connection
from agent_tasks.store.rows import Row
from agent_tasks.task import payloads
from agent_tasks.task.arguments import check_not_reserved, check_signal_name, check_text
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
    check_signal_name(name, "name")
    if signal_id is not None:
        check_text(signal_id, "signal_id", 255)
        check_not_reserved(signal_id, "signal_id")
    if wait_id is not None:
        check_text(wait_id, "wait_id", 255)
    taken = TakenSignals(deployment, task.agent)
    text = payloads.encode(payload, "payload", limit=deployment.settings.payload_limit)
    if sender is not None:
        payloads.encode(sender.model_dump(mode="json"), "identity")

    def keep_and_deliver(connection: Connection) -> tuple[Receipt, list[Row]]:
        row = signal.lock(connection, task.id)
        if row is None:
            raise TaskNotFound(f"No task {task.id}: it was purged after its retention.")
        if is_over(row) and signal_id and (kept := signal.receipt(connection, task.id, signal_id)):
            return Receipt(kept=True, **kept), []
        _check_open(row)
        if wait_id is not None and name not in (names := _names_of(connection, row, wait_id)):
            if signal_id and signal.receipt(connection, task.id, signal_id):
                return _nothing_new(deployment, connection, row)
            if names:
                raise InvalidInput(f"This wait is for {', '.join(names)}, not {name!r}", field="name")
            raise _wait_is_over(row, wait_id)
        found = take(
            deployment, connection, taken, row, name, text, signal_id=signal_id, sender=sender, wait_id=wait_id
        )
        return found or _nothing_new(deployment, connection, row)

    return deployment.commit_for(keep_and_deliver)


def awaited_signals(deployment: Deployment, task: TaskSnapshot) -> dict[str, str]:
    """Return the signals that a task waits for between steps and that have not come, each with the id of its wait."""
    waiting = task.waiting_for
    if waiting is None or waiting.kind != "signal" or waiting.waits is not None:
        return {}
    ids = {name: (waiting.wait_ids or {}).get(name) or waiting.wait_id or "" for name in waiting.names or ()}
    if waiting.mode != "all":
        return ids
    with deployment.database.connection() as connection:
        come = {row["name"] for row in signal.inbox(connection, task.id, list(ids), ids)}
    return {name: wait_id for name, wait_id in ids.items() if name not in come}


def take(
    deployment: Deployment,
    connection: Connection,
    taken: TakenSignals,
    row: Row,
    name: str,
    text: str,
    *,
    signal_id: str | None,
    sender: Identity | None,
    wait_id: str | None,
) -> tuple[Receipt, list[Row]] | None:
    """Check a signal with the payload `text` (JSON), keep it and deliver it to the task, whose `row` is locked.

    None where this `signal_id` was there before. Raises InvalidInput, which keeps nothing.
    """
    if name in awaited_names(row) and not is_parked(row):
        taken.check_payload(row["step"], payloads.stored(text))
    kept = signal.keep(
        connection,
        row["id"],
        name,
        text,
        signal_id=signal_id,
        sender=sender,
        wait_id=wait_id,
        waiting_for=awaited_names(row),
    )
    if kept is None:
        return None
    if name not in awaited_names(row):
        taken.check_name(name)
    ring_seconds = deployment.settings.ring_seconds
    delivered = signal.deliver(connection, row["id"], ring_seconds=ring_seconds, signal_id=signal_id)
    now = delivered or kept
    receipt = Receipt(
        kept=True,
        delivered=delivered is not None,
        waiting_for=[] if delivered else awaited_names(kept),
        unserved=_unserved(deployment, connection, now),
    )
    return receipt, [now]


def _nothing_new(deployment: Deployment, connection: Connection, row: Row) -> tuple[Receipt, list[Row]]:
    return Receipt(kept=False, delivered=False, unserved=_unserved(deployment, connection, row)), []


def _unserved(deployment: Deployment, connection: Connection, row: Row) -> Unserved | None:
    return with_unserved(deployment, connection, [TaskSnapshot.from_row(row)])[0].unserved


def is_over(row: Row) -> bool:
    """Whether a task takes no more signals: it has ended, or its end is decided."""
    return row["finished_at"] is not None or row["ending"] is not None


def _check_open(row: Row) -> None:
    if is_over(row):
        raise InvalidState(
            f"Task {row['id']} has ended as {row['status']}: it no longer takes signals.", status=row["status"]
        )


def _wait_is_over(row: Row, wait_id: str) -> InvalidState:
    names = ", ".join(awaited_names(row))
    now = f"It waits for {names} now: look at it before you answer." if names else "It waits for no signal now."
    return InvalidState(
        f"The wait {wait_id} of task {row['id']} is over, so nothing was sent. {now}",
        wait_id=wait_id,
        waiting_for=awaited_names(row),
    )


def _names_of(connection: Connection, row: Row, wait_id: str) -> list[str]:
    """Return the names of the signals that the open wait with this id takes; none where it is over.

    A wait within a step is open until the step has it behind it, also while the step does something else.
    """
    if awaited_names(row) and not is_parked(row):
        return [name for name, own in awaited_ids(row).items() if own == wait_id]
    return signal.names_of(connection, row["id"], row["step_number"], wait_id)


def awaited_ids(row: Row) -> dict[str, str]:
    """Return the names of the signals that a task waits for between steps, and the id of the wait for each.

    Waits of 0.1.0 have one id for all of their names.
    """
    waiting: dict[str, Any] = row["waiting_for"] or {}
    if is_parked(row) or waiting.get("kind") != "signal":
        return {}
    ids: dict[str, str] | None = waiting.get("wait_ids")
    return ids or dict.fromkeys(awaited_names(row), str(waiting["wait_id"]))


def is_parked(row: Row) -> bool:
    """Whether a step of the task waits itself, and so no step whose annotations say what a signal holds."""
    return "waits" in (row["waiting_for"] or {})


def awaited_names(row: Row) -> list[str]:
    """Return the names of the signals that a task waits for."""
    waiting: dict[str, Any] = row["waiting_for"] or {}
    return waiting.get("names") or []
