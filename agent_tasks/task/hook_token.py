"""The token in a hook's URL: which signal of which task it sends, signed, so that who holds it may send that."""

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from agent_tasks.errors import HookNotFound
from agent_tasks.task.signing import is_signed, mac

_VERSION = "h1"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST = 4096


def wait_id_of(lineage_id: UUID, step_number: int, signal: str = "", turn: int = 0) -> str:
    """Return the id of the wait that this step opens: the same in all tasks that were resumed from each other.

    A hook of the step is bound to it before it is there. `turn`: how many waits for `signal` the step has behind it.
    """
    return str(uuid5(lineage_id, f"wait {step_number}" + (f" {turn} {signal}" if turn else "")))


@dataclass(frozen=True, slots=True)
class HookToken:
    """The right to send one signal to the task that made the hook, or to the continuation of it that lives."""

    task_id: UUID
    """The task that made it."""
    lineage_id: UUID
    """The first task of those that were resumed from each other."""
    signal: str
    step_number: int
    """The step that made it."""
    expires_at: datetime | None
    """By the database's clock; None: with the task."""
    once: bool
    """Whether it takes one answer, to the wait that its step opens; else any number, to that wait and later ones."""
    verify: str | None
    """Whose secret signs what comes: a name, empty for the secrets without one; None: nobody's."""
    turn: int = 0
    """How many waits for this signal the step had behind it."""

    @property
    def wait_id(self) -> str:
        return wait_id_of(self.lineage_id, self.step_number, self.signal, self.turn)

    @property
    def fingerprint(self) -> str:
        """What tells this hook from others, and is no right to anything."""
        return hashlib.sha256(f"hook {self._parts()}".encode()).hexdigest()[:32]

    def sign(self, key: bytes) -> str:
        """Return the token as text, for URLs."""
        payload = base64.urlsafe_b64encode(self._parts().encode()).rstrip(b"=").decode()
        return f"{_VERSION}.{payload}.{mac(f'{_VERSION}.{payload}'.encode(), key).decode()}"

    def _parts(self) -> str:
        until = None if self.expires_at is None else (self.expires_at - _EPOCH) // timedelta(milliseconds=1)
        ids = [self.task_id.hex, self.lineage_id.hex]
        parts = [*ids, self.signal, self.step_number, until, int(self.once), self.verify]
        parts += [self.turn] if self.turn else []
        return json.dumps(parts, separators=(",", ":"))

    @classmethod
    def read(cls, text: str, keys: Sequence[bytes]) -> "HookToken":
        """Return the token that `text` is. Raises HookNotFound if none of the keys has signed it as it is."""
        version, _, rest = text.partition(".")
        payload, _, signature = rest.partition(".")
        if version != _VERSION or len(text) > _LONGEST or not text.isascii():
            raise _unknown()
        if not is_signed(f"{version}.{payload}".encode(), signature.encode(), keys):
            raise _unknown()
        parts: list[Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        task, lineage, signal, step_number, until, once, verify, *turn = parts
        expires_at = None if until is None else _EPOCH + timedelta(milliseconds=until)
        return cls(UUID(task), UUID(lineage), signal, step_number, expires_at, bool(once), verify, *turn)


def _unknown() -> HookNotFound:
    return HookNotFound(
        "There is no such hook: its URL was altered or cut short, or it is another deployment's. Take all of the URL "
        "as it was sent."
    )
