"""What `ctx.hook` is asked for: a URL to which an outside system, or a person, sends a signal."""

import hashlib
import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from agent_tasks.authoring.durations import seconds_of
from agent_tasks.errors import InvalidInput
from agent_tasks.task.arguments import check_flag, check_signal_name, refused

STANDARD = "standard-webhooks"


@dataclass(frozen=True, slots=True)
class HookOptions:
    """A hook to be made. Raises InvalidInput for values that mean nothing."""

    signal: str
    expires: float | timedelta | None = None
    once: bool = True
    verify: str | None = None

    def __post_init__(self) -> None:
        check_signal_name(self.signal, "signal")
        check_flag(self.once, "once")
        if self.seconds is not None and self.seconds <= 0:
            raise InvalidInput("hook(expires=) must be above zero: seconds, or a timedelta", field="expires")
        given: Any = self.verify
        if given is not None and (
            type(given) is not str or given.partition(":")[0] != STANDARD or given == f"{STANDARD}:"
        ):
            what = f"hook(verify=) takes {STANDARD!r}, or with the name of a secret {STANDARD + ':name'!r}"
            raise refused(what, given, "verify")

    @property
    def seconds(self) -> float | None:
        """How long it lives; None: as long as the task."""
        return None if self.expires is None else seconds_of(self.expires, "expires")

    @property
    def secret(self) -> str | None:
        """The name of the secret that signs what comes, empty for those without a name; None: nothing is signed."""
        return None if self.verify is None else self.verify.partition(":")[2]

    def fingerprint(self, turn: int) -> str:
        """What the hook is known by within its step: two that are asked for alike are the same, up to the wait's end.

        `turn`: how many waits for its signal the step has behind it.
        """
        asked = json.dumps([self.signal, self.seconds, self.once, self.verify, *([turn] if turn else [])])
        return hashlib.blake2b(asked.encode(), digest_size=16).hexdigest()
