"""The event loop of a worker process, and the next one where a step blocks it."""

from concurrent.futures import Executor

from agent_tasks.engine.process.loop import StepLoop


class Loops:
    """The current loop, for what begins from now on; what runs already stays on its own."""

    def __init__(self, capacity: int, database_threads: Executor, call_threads: Executor) -> None:
        """`capacity` bounds the async steps of each loop; the threads are shared by all of them."""
        self._make = lambda: StepLoop(capacity, database_threads, call_threads)
        self.current = self._make()

    def replace(self) -> StepLoop:
        """Abandon the current loop, which is returned, for a new one."""
        old, self.current = self.current, self._make()
        old.abandon()
        return old
