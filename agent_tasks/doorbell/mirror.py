"""The status mirror in Redis: a snapshot per task, which a compare-and-set by version never lets regress."""

import secrets
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any
from uuid import UUID

from pydantic import ValidationError
from redis.client import Pipeline

from agent_tasks.doorbell.line import BATCH, Line
from agent_tasks.task.row import TaskRow
from agent_tasks.task.signing import is_signed, mac
from agent_tasks.task.snapshot import TaskSnapshot

PREFIX = "agent-tasks:task:"
LARGEST = 32 * 1024
"""The most bytes of a mirrored snapshot: for a larger one readers go to Postgres."""
TERMINAL_SECONDS = 60
"""How long an ended task stays mirrored: long enough for those who wait; later reads are cheap in Postgres."""
_NO_READER = "-"

# KEYS: the mirror, which is also the name of its channel. ARGV: version, snapshot, milliseconds to live, signature, and
# the reader who found nothing here and then looked into Postgres. Where there is no version to compare with (nobody
# looks, it expired, all was flushed) only such a reader may set one, and only if nothing was published meanwhile: a
# writer who comes late would not know that he does.
_COMPARE_AND_SET = """
local current = redis.call('HGET', KEYS[1], 'version')
if current then
    if tonumber(current) > tonumber(ARGV[1]) then return 0 end
elseif ARGV[5] == '' then
    redis.call('DEL', KEYS[1])
    redis.call('PUBLISH', KEYS[1], ARGV[1])
    return 0
elseif redis.call('HGET', KEYS[1], 'reader') ~= ARGV[5] then
    return 0
end
redis.call('HSET', KEYS[1], 'version', ARGV[1], 'snapshot', ARGV[2])
if ARGV[4] == '' then redis.call('HDEL', KEYS[1], 'signature', 'reader')
else
    redis.call('HSET', KEYS[1], 'signature', ARGV[4])
    redis.call('HDEL', KEYS[1], 'reader')
end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
if current and tonumber(current) == tonumber(ARGV[1]) then return 0 end
redis.call('PUBLISH', KEYS[1], ARGV[1])
return 1
"""

# ARGV: a name for the reader, milliseconds to live.
_ANNOUNCE = """
local reader = redis.call('HGET', KEYS[1], 'reader')
if reader then return reader end
if redis.call('HSETNX', KEYS[1], 'reader', ARGV[1]) == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return ARGV[1]
"""

# KEYS: of tasks that have changed. ARGV: their versions. Of one of which nothing is kept, and that no reader has
# announced, word of the change is all that there is to send.
_TELL = """
local kept = {}
for place, key in ipairs(KEYS) do
    if redis.call('EXISTS', key) == 1 then kept[#kept + 1] = place
    else redis.call('PUBLISH', key, ARGV[place]) end
end
return kept
"""


def key(task_id: UUID) -> str:
    return f"{PREFIX}{task_id}"


class Mirror:
    """Reads and writes mirrored snapshots, each signed, so that write access to Redis cannot forge a task's state.

    Only tasks that somebody looks at are mirrored: a reader who finds nothing announces itself, reads Postgres and
    fills the entry, which publishers then keep up to date. Postgres is the truth: the entry of a living
    task expires after `living_seconds`, which bounds how long a reader can be behind if the writer died between
    its commit and its publish. Every method raises redis.RedisError when Redis is away.
    """

    def __init__(self, line: Line, living_seconds: float, keys: Sequence[bytes]) -> None:
        self.line = line
        self._client = line.client
        self._breaker = line.breaker
        self._keys = keys
        self._living_ms = int(living_seconds * 1000)

    def announce(self, task_id: UUID) -> str:
        """Announce that a reader is about to read Postgres and `fill` the entry; return the reader's name."""
        with self._breaker:
            eval_: Any = self._client.eval
            name: bytes = eval_(_ANNOUNCE, 1, key(task_id), secrets.token_hex(8), self._living_ms)
        return name.decode()

    def fill(self, snapshot: TaskSnapshot, reader: str | None, *, hidden: bool = False) -> None:
        """Mirror what was read from Postgres after `reader` was announced; without one, only over an older entry."""
        self._set(self._client, snapshot, hidden, reader or _NO_READER)

    def put(self, snapshot: TaskSnapshot, pipeline: "Pipeline | None" = None, *, hidden: bool = False) -> None:
        """Mirror a change, and send word of it, if an entry is kept and none is newer.

        `hidden`: mirror only its version, as for sensitive agents.
        """
        self._set(self._client if pipeline is None else pipeline, snapshot, hidden, "")

    def _set(self, target: Any, snapshot: TaskSnapshot, hidden: bool, reader: str) -> None:
        body = "" if hidden else snapshot.model_dump_json()
        if len(body) > LARGEST:
            body = ""
        signature = mac(_signed_part(body.encode()), self._keys[0]) if body else ""
        milliseconds = TERMINAL_SECONDS * 1000 if snapshot.status.is_terminal else self._living_ms
        # EVAL and not EVALSHA: one round trip, and right after a SCRIPT FLUSH or a restart
        arguments = (snapshot.version, body, milliseconds, signature, reader)
        with nullcontext() if isinstance(target, Pipeline) else self._breaker:
            target.eval(_COMPARE_AND_SET, 1, key(snapshot.id), *arguments)

    def tell(self, rows: Sequence[TaskRow]) -> list[TaskRow]:
        """Send word of changes of tasks that nobody looks at; returns the others, which are to be `put`."""
        kept: list[TaskRow] = []
        eval_: Any = self._client.eval
        for start in range(0, len(rows), BATCH):
            some = rows[start : start + BATCH]
            with self._breaker:
                places: list[int] = eval_(
                    _TELL, len(some), *(key(row["id"]) for row in some), *(row["version"] for row in some)
                )
            kept += [some[place - 1] for place in places]
        return kept

    def get(self, task_id: UUID) -> TaskSnapshot | None:
        """Return the mirrored snapshot; None if Postgres must be asked."""
        with self._breaker:
            found: Any = self._client.hmget(key(task_id), "snapshot", "signature")
        body, signature = found
        if not body or not signature or not is_signed(_signed_part(body), signature, self._keys):
            return None
        try:
            snapshot = TaskSnapshot.model_validate_json(body)
        except ValidationError:  # written by another release
            return None
        return snapshot if snapshot.id == task_id else None


def _signed_part(body: bytes) -> bytes:
    """Return the bytes to sign, set apart from what else the keys sign."""
    return b"mirror.v1." + body
