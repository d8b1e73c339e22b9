"""The status mirror in Redis: a snapshot per task that a compare-and-set by version never lets regress."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import redis
from pydantic import ValidationError
from redis.client import Pipeline

from agent_tasks.signing import is_signed, mac
from agent_tasks.snapshots import TaskSnapshot

PREFIX = "agent-tasks:task:"
LARGEST = 256 * 1024
"""A snapshot of more bytes is not mirrored: readers go to Postgres."""
TERMINAL_SECONDS = 3600

# KEYS: the mirror, which is also the name of its channel. ARGV: version, snapshot, milliseconds to live, signature.
_COMPARE_AND_SET = """
local current = redis.call('HGET', KEYS[1], 'version')
if current and tonumber(current) > tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'version', ARGV[1], 'snapshot', ARGV[2])
if ARGV[4] == '' then redis.call('HDEL', KEYS[1], 'signature')
else redis.call('HSET', KEYS[1], 'signature', ARGV[4]) end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
if current and tonumber(current) == tonumber(ARGV[1]) then return 0 end
redis.call('PUBLISH', KEYS[1], ARGV[1])
return 1
"""


def key(task_id: UUID) -> str:
    return f"{PREFIX}{task_id}"


class Mirror:
    """Reads and writes mirrored snapshots, each signed: who can write to Redis cannot say what a task is.

    Postgres is the truth: an entry of a living task expires after `living_seconds`, which bounds how long a
    reader can be behind when the writer died between its commit and its publish.
    """

    def __init__(self, client: "redis.Redis", living_seconds: float, keys: Sequence[bytes]) -> None:
        self._client = client
        self._keys = keys
        self._living_ms = int(living_seconds * 1000)

    def put(self, snapshot: TaskSnapshot, pipeline: "Pipeline | None" = None, *, hidden: bool = False) -> None:
        """Mirror `snapshot` unless a newer one is there. `hidden`: only its version, as for sensitive agents."""
        body = "" if hidden else snapshot.model_dump_json()
        if len(body) > LARGEST:
            body = ""
        signature = mac(_signed_part(body.encode()), self._keys[0]) if body else ""
        milliseconds = TERMINAL_SECONDS * 1000 if snapshot.status.is_terminal else self._living_ms
        # EVAL and not EVALSHA: one round trip, and right after a SCRIPT FLUSH or a restart
        target: Any = self._client if pipeline is None else pipeline
        target.eval(_COMPARE_AND_SET, 1, key(snapshot.id), snapshot.version, body, milliseconds, signature)

    def get(self, task_id: UUID) -> TaskSnapshot | None:
        """The mirrored snapshot; None where Postgres must be asked. Raises redis.RedisError when Redis is away."""
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
    """Apart from what else the keys sign."""
    return b"mirror.v1." + body
