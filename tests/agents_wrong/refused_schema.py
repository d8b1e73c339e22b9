"""A type whose schema cannot be made."""

from typing import Any

from agent_tasks import Context, agent


class Odd:
    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        raise KeyError("a fault of the type's own")


@agent("odd")
async def odd(ctx: Context, value: Odd):
    return None
