"""Hooks from outside: what the URL that `ctx.hook` made asks for, and answering it."""

import hashlib
import json
import uuid
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel

from agent_tasks.client.signals import Receipt, awaited_ids, awaited_names, is_over, is_parked, take
from agent_tasks.client.taken_signals import TakenSignals
from agent_tasks.deployment import Deployment
from agent_tasks.errors import HookClosed, InvalidState
from agent_tasks.moments import reached
from agent_tasks.store.database import Connection
from agent_tasks.store.queries import hooks
from agent_tasks.store.queries.hooks import TargetRow
from agent_tasks.store.rows import Row
from agent_tasks.task import payloads
from agent_tasks.task.arguments import check_text, refused
from agent_tasks.task.hook_token import HookToken
from agent_tasks.transitions import signal

LONGEST_KEY = 255
MOST_KEPT = 100
"""Answers of a signal that hooks may have put into an inbox before the task takes some."""


class HookInfo(BaseModel):
    """What a hook asks for: which agent waits for which signal, since when, and what the answer must be."""

    signal: str
    agent: str
    goal: str | None = None
    """What the agent is for, where it says so."""
    waiting: bool
    """True: the task waits for it. False: not yet, or not now; an answer is kept until it does."""
    since: datetime | None = None
    """When the wait began."""
    until: datetime | None = None
    """When the hook expires, or the wait ends, whichever is first; None: with the task."""
    payload_schema: dict[str, Any] | None = None
    """The JSON schema of the answer; None where any is taken, or the task does not wait yet."""
    once: bool
    """Whether it takes one answer."""
    verify: str | None = None
    """`standard-webhooks`, where what is sent must be signed."""


def read_token(deployment: Deployment, url: str) -> HookToken:
    """Return the token of a hook's URL, or of the token alone. Raises HookNotFound."""
    if not isinstance(url, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise refused("url must be the text that ctx.hook returned", url, "url")
    return HookToken.read(unquote(urlsplit(url).path).rpartition("/")[2], deployment.hook_keys)


def find_target(deployment: Deployment, token: HookToken) -> TargetRow:
    """Return the row of the task that a hook speaks to. Raises HookClosed where none is left."""
    with deployment.database.connection() as connection:
        return _target(connection, token)


def show_hook(deployment: Deployment, token: HookToken) -> HookInfo:
    """Return what a hook asks for, which changes nothing. Raises HookClosed where it takes no more answers."""
    with deployment.database.connection() as connection:
        row = _target(connection, token)
        _check_open(connection, token, row)
        waiting = _wait_of(connection, token, row)
    taken = TakenSignals(deployment, row["agent"])
    until: str | None = waiting["until"] if waiting else None
    ends = [time for time in (token.expires_at, until and datetime.fromisoformat(until)) if time]
    return HookInfo(
        signal=token.signal,
        agent=row["agent"],
        goal=taken.goal,
        waiting=waiting is not None,
        since=waiting["since"] if waiting else None,
        until=min(ends, default=None),
        payload_schema=taken.payload_schema(row["step"]) if waiting and not is_parked(row) else None,
        once=token.once,
        verify=None if token.verify is None else "standard-webhooks",
    )


def answer_hook(deployment: Deployment, token: HookToken, payload: Any, *, key: str | None) -> Receipt:
    """Send what a hook was made for. Raises HookClosed, InvalidInput, PayloadTooLarge and InvalidState
    (the inbox is full of such answers), which all send nothing.

    `key`: sending the same again gets the receipt of the first time, also once the hook is closed.
    """
    if key is not None:
        check_text(key, "key", LONGEST_KEY)
    taken = TakenSignals(deployment, find_target(deployment, token)["agent"])
    text = payloads.encode(payload, "payload", limit=deployment.settings.payload_limit)
    signal_id = _signal_id(token, key)

    def send(connection: Connection) -> tuple[Receipt, list[Row]]:
        row = _lock_target(connection, token)
        first = signal.receipt(connection, row["id"], signal_id)
        if first is not None:
            return Receipt(kept=True, **first), []
        try:
            _check_open(connection, token, row)
        except HookClosed:
            # it may have been answered in a task before this one, and its sender does not know of that
            before = hooks.first_answer(connection, token, signal_id)
            if before is None:
                raise
            return Receipt(kept=True, **before), []
        _check_room(connection, token, row)
        wait_id = token.wait_id if token.once else None
        found = take(
            deployment, connection, taken, row, token.signal, text, signal_id=signal_id, sender=None, wait_id=wait_id
        )
        assert found is not None, "the receipt of this signal was looked for under the lock"
        reached("written")
        return found

    return deployment.commit_for(send)


def first_answer(deployment: Deployment, token: HookToken, key: str) -> Receipt | None:
    """Return the receipt of what was sent with this key; None where nothing was."""
    with deployment.database.connection() as connection:
        first = hooks.first_answer(connection, token, _signal_id(token, key))
    return None if first is None else Receipt(kept=True, **first)


def _signal_id(token: HookToken, key: str | None) -> str:
    """The id of the signal: the same for the same key, and no other sender's whatever keys they use."""
    if key is None:
        return f"hook-{uuid.uuid4().hex}"
    return f"hook-{hashlib.sha256(json.dumps([token.fingerprint, key]).encode()).hexdigest()}"


def _target(connection: Connection, token: HookToken) -> TargetRow:
    """Return the task that the hook speaks to. Raises HookClosed where none is left."""
    row = hooks.target(connection, token)
    if row is None:
        raise _purged()
    return row


def _lock_target(connection: Connection, token: HookToken) -> TargetRow:
    """Lock the task that the hook speaks to, and return it as it is then. Raises HookClosed where none is left."""
    row = _target(connection, token)
    while True:
        signal.lock(connection, row["id"])
        now = _target(connection, token)
        if now["id"] == row["id"]:
            return now
        row = now


def _check_open(connection: Connection, token: HookToken, row: TargetRow) -> None:
    """Raise HookClosed where the hook takes no more answers from the task that it speaks to."""
    if token.once:
        used = hooks.used_at(connection, row["id"], token.signal, token.wait_id)
        if used is not None:
            raise _closed("used", f"This was answered at {_shown(used)}: it takes one answer.")
    if is_over(row):
        raise _closed("ended", f"The task of {row['agent']} has ended as {row['status']}: it takes no more answers.")
    if token.expires_at is not None and row["now"] >= token.expires_at:
        raise _closed("expired", f"This expired at {_shown(token.expires_at)}. Ask for a new one.")
    if token.once:
        _check_wait(connection, token, row)
    if row["living"] > 1:
        raise _closed("forked", f"{row['agent']} goes on in several tasks, and this would answer only one. Ask anew.")


def _wait_of(connection: Connection, token: HookToken, row: Row) -> dict[str, Any] | None:
    """Return the wait that the task is in, and that the hook is for; None where it is in none."""
    if not is_parked(row):
        return row["waiting_for"] if token.signal in awaited_names(row) else None
    within = hooks.wait_within(connection, row["id"], row["step_number"], token)
    return within["wait"] if within and within["is_open"] else None


def _check_wait(connection: Connection, token: HookToken, row: Row) -> None:
    """Raise HookClosed where the wait of the hook is over."""
    ids = awaited_ids(row)
    if ids.get(token.signal) == token.wait_id:
        return
    if token.wait_id in ids.values():
        raise _closed("over", f"{row['agent']} asked for {token.signal!r}, and then waited for something else.")
    within = hooks.wait_within(connection, row["id"], token.step_number, token)
    if row["step_number"] > token.step_number or (within and not within["is_open"]):
        raise _closed("over", f"{row['agent']} does not wait for {token.signal!r} any more, and has gone on.")


def _check_room(connection: Connection, token: HookToken, row: Row) -> None:
    """Raise InvalidState where what hooks have sent lies in the inbox and is not taken."""
    if not token.once and hooks.kept(connection, row["id"], token.signal) >= MOST_KEPT:
        raise InvalidState(
            f"{row['agent']} has {MOST_KEPT} answers that it has not taken yet: send this again when it has taken some."
        )


def _shown(time: datetime) -> str:
    return f"{time.astimezone(UTC):%H:%M UTC on %-d %B %Y}"


def _closed(why: str, message: str) -> HookClosed:
    return HookClosed(message, why=why)


def _purged() -> HookClosed:
    return _closed("purged", "The task that asked for this has ended, and is not kept any more.")
