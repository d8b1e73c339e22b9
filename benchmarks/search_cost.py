"""What the indexes of searches cost: steps per second with them and without, in interleaved pairs."""

import time
from statistics import median

from benchmarks.deployment import Deployment, deployment
from benchmarks.tables import Table, at_most, spread

TASKS, STEPS, PAIRS = 250, 8, 10
_INDEXES = """
    SELECT indexname AS name, indexdef AS made_by FROM pg_indexes WHERE schemaname = 'agent_tasks' AND (
        indexname LIKE 'tasks_by%' OR indexname IN ('tasks_with_errors', 'tasks_error_words', 'tasks_skewed',
        'events_charged')) ORDER BY indexname
"""


def run(quick: bool) -> list[Table]:
    pairs = 2 if quick else PAIRS
    with deployment() as made, made.client.database.connection() as connection:
        indexes = connection.execute(_INDEXES, prepare=False).fetchall()
        table = Table(
            "What the indexes of searches cost",
            note=f"{len(indexes)} indexes; {TASKS} tasks of {STEPS} steps and {TASKS * 4} of one; medians of "
            f"the ratios of {pairs} pairs, least to most. Labels are rows by which metadata is found.",
        )
        with made.worker():
            for name, tasks, steps in (("long tasks", TASKS, STEPS), ("tasks of one step", TASKS * 4, 1)):
                ratios: list[float] = []
                for pair in range(pairs):
                    rates: dict[bool, float] = {}
                    for are_there in (True, False) if pair % 2 else (False, True):
                        connection.execute("TRUNCATE agent_tasks.tasks CASCADE")
                        for index in indexes:
                            connection.execute(f"DROP INDEX IF EXISTS agent_tasks.{index['name']}")
                            if are_there:
                                connection.execute(index["made_by"])
                        rates[are_there] = _rate(made, tasks, steps)
                    ratios.append(100 * (1 - rates[True] / rates[False]))
                cost = median(ratios)
                table.check(f"all indexes, {name}", at_most(3, "%"), cost, f"{spread(ratios, '{:.1f}')} %")
    return [table]


def _rate(made: Deployment, tasks: int, steps: int) -> float:
    start = time.perf_counter()
    made.client.submit_many("loop", [{"steps": steps}] * tasks)
    made.until_idle()
    return tasks * steps / (time.perf_counter() - start)
