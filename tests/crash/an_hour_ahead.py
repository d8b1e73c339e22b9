"""Loaded as a module of agents: the wall clock of this process is an hour ahead."""

import datetime
import sys
import time
from typing import Any

from agent_tasks import Context, agent

_HOUR = datetime.timedelta(hours=1)
_real = time.time


class _Kind(type):
    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, datetime.datetime)


class _Ahead(datetime.datetime, metaclass=_Kind):
    @classmethod
    def now(cls, tz: Any = None) -> Any:
        return datetime.datetime.now(tz) + _HOUR


time.time = lambda: _real() + _HOUR.total_seconds()
for _name, _module in list(sys.modules.items()):
    if _name.startswith("agent_tasks.") or _name == "agent_tasks":
        for _key, _value in list(vars(_module).items()):
            if _value is datetime.datetime:
                setattr(_module, _key, _Ahead)
            elif _value is _real:
                setattr(_module, _key, time.time)


@agent("says_when")
async def says_when(ctx: Context):
    """Seconds since 1970 as this process has it, by both of its clocks."""
    return [time.time(), ctx.deadline.timestamp() if ctx.deadline else None]
