"""What a step reports of its progress, told to whoever waits for its result and has asked to be told."""

from agent_tasks.gateway.mcp.passage import Context
from agent_tasks.task.snapshot import TaskSnapshot


class ProgressTeller:
    """Tells of one task. Each notification tells of more than the one before, as the protocol demands."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._told = float("-inf")

    async def tell(self, seen: TaskSnapshot) -> None:
        """Tell how far the task has come, where that is further than was told."""
        progress = seen.progress
        if progress is not None and progress.done > self._told:
            self._told = progress.done
            await self._ctx.session.report_progress(progress.done, progress.total, progress.message)
