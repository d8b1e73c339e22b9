"""Steps that are repeated, and the world that they change."""

import asyncio
from collections.abc import Callable
from typing import Any

from agent_tasks.engine.steps.run import Raised
from tests.database import submitted
from tests.database.driving import Driver, result_of, value_of


class World:
    """What is outside: it counts what is done there, and under which keys."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self.keys: dict[str, set[str]] = {}

    def does(self, name: str, seconds: float = 0.0, *, fails: int = 0) -> Callable[..., Any]:
        """A function that is known by this name; its first `fails` times it fails."""

        async def function(*args: Any) -> str:
            self.made.append(name)
            number = self.made.count(name)
            await asyncio.sleep(seconds)
            if number <= fails:
                raise ConnectionError(f"{name} is down")
            return f"{name} {number}"

        function.__qualname__ = name
        return function

    def key(self, ctx: Any, name: str) -> str:
        self.keys.setdefault(name, set()).add(ctx.idempotency_key)
        self.made.append(name)
        return name


def crashed_and_repeated(driver: Driver, step: Callable[..., Any], **options: Any) -> tuple[Any, Any]:
    """What a step returned when its worker was lost before the commit, and what its repeat returned."""
    task_id = submitted(driver.client, **options)
    first = driver.run(task_id, step)
    value = value_of(first)
    driver.crash(first)
    second = driver.run(task_id, step)
    return value, value_of(second)


def tried_again(driver: Driver, step: Callable[..., Any], **options: Any) -> Any:
    """What a step returned in its second try, after the first has raised."""
    task_id = submitted(driver.client, **options)
    first = driver.run(task_id, step)
    assert isinstance(result_of(first), Raised), result_of(first)
    assert driver.settle(first)["status"] == "waiting", result_of(first)
    return value_of(driver.run(task_id, step))
