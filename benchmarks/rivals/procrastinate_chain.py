"""procrastinate: jobs in Postgres, each of which defers the next."""

import asyncio
import os
import time
from contextlib import ExitStack

import procrastinate
from procrastinate import App, PsycopgConnector

from benchmarks.deployment import WARM_UP, Deployment
from benchmarks.rivals.gate import Gate

PROCESSES, CONCURRENCY = 2, 8
NOTE = f"procrastinate: {PROCESSES} async workers of concurrency {CONCURRENCY}, with LISTEN/NOTIFY; defer_async in bulk"

app = App(connector=PsycopgConnector(conninfo=os.environ.get("AGENT_TASKS_DATABASE_URL", ""), max_size=CONCURRENCY + 2))


@app.task(name="spin")
async def spin(steps: int) -> None:
    if steps > 1:
        await spin.defer_async(steps=steps - 1)


def measure(made: Deployment, tasks: int, steps: int) -> float:
    """Steps per second."""
    return asyncio.run(_measure(made, made.database_url("procrastinate_chain"), tasks, steps))


async def _measure(made: Deployment, database: str, tasks: int, steps: int) -> float:
    ours = App(connector=PsycopgConnector(conninfo=database))
    async with ours.open_async():
        if not await ours.check_connection_async():
            await ours.schema_manager.apply_schema_async()
        deferrer = ours.configure_task("spin")
        gate = Gate.of_benchmark(made)
        with ExitStack() as stack:
            for _ in range(PROCESSES):
                stack.enter_context(made.process("benchmarks.rivals.procrastinate_chain", database_url=database))
            gate.until_arrived(PROCESSES)
            for count, length in ((WARM_UP, 3), (tasks, steps)):
                start = time.perf_counter()
                await deferrer.batch_defer_async(*[{"steps": length}] * count)
                await _until_empty(ours)
            return tasks * steps / (time.perf_counter() - start)


async def _until_empty(ours: App) -> None:
    """Raises TimeoutError."""
    left = "SELECT EXISTS (SELECT FROM procrastinate_jobs WHERE status IN ('todo', 'doing')) AS left"
    async with asyncio.timeout(120):
        while (await ours.connector.execute_query_one_async(left))["left"]:
            await asyncio.sleep(0.02)


if __name__ == "__main__":
    from benchmarks.rivals.procrastinate_chain import app as imported

    async def work() -> None:
        async with imported.open_async():
            Gate.of_process().arrive()
            await imported.run_worker_async(concurrency=CONCURRENCY, install_signal_handlers=False)

    asyncio.run(work())
    raise SystemExit(f"procrastinate {procrastinate.__version__} stopped working")
