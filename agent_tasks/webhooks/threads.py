"""The threads in which a deliverer asks Postgres."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from agent_tasks.deployment import Deployment
from agent_tasks.store.database import Connection

T = TypeVar("T")


class Threads:
    """Runs for the event loop what blocks."""

    def __init__(self, deployment: Deployment, number: int) -> None:
        self._database = deployment.database
        self._threads = ThreadPoolExecutor(number, thread_name_prefix="agent-tasks-deliverer")

    async def commit(self, transition: Callable[[Connection], T]) -> T:
        """Run a transition. Raises ServerAway, Contention, and what it raises."""
        return await self.call(lambda: self._database.run(transition))

    async def call(self, function: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function)

    def shutdown(self) -> None:
        self._threads.shutdown()
