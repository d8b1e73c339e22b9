"""Searches by every filter beside very many tasks: how long a page takes, and that no table is read whole."""

import random
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from agent_tasks import Identity, TaskFilter
from benchmarks.deployment import Deployment, deployment
from benchmarks.tables import Table, at_most, percentile

ENDED, LIVING = 1_000_000, 100_000
ROUNDS, QUICK = 25, 50
"""Searches of each kind, and by how much less there is of all with --quick."""

# Half of all tasks are of one agent, half of the others of the next; one of ten has failed; over thirty days.
_TASKS = """
    INSERT INTO agent_tasks.tasks
        (id, agent, status, step, queue, root_id, lineage_id, ttl_seconds, tenant, identity, session_id, metadata,
         input, result, error, waiting_for, due_at, created_at, finished_at)
    SELECT id, 'agent' || least(floor(-log(2, (1 - random())::numeric)), 12), status, 'step' || n %% 40,
        'queue' || n %% 6, id, id, 900, tenant,
        jsonb_build_object('subject', 'subject' || n %% 5000, 'tenant', tenant, 'scopes', '[]'::jsonb),
        'session' || n / 7, jsonb_build_object('ticket', n, 'env', (ARRAY['prod', 'prod', 'dev'])[1 + n %% 3]),
        jsonb_build_object('topic', md5(n::text)),
        CASE WHEN status = 'completed' THEN to_jsonb(repeat(md5(n::text), 4)) END,
        CASE WHEN status IN ('failed', 'timeout', 'cancelled') THEN jsonb_build_object('type', error_type, 'message',
            'the upstream ' || left(md5((n %% 500)::text), 8) || ' said '
            || (ARRAY['rate limit', 'bad gateway', 'overloaded'])[1 + n / 10 %% 3]) END,
        CASE WHEN status = 'waiting' THEN jsonb_build_object('kind', 'signal', 'name', 'go', 'since', at) END,
        CASE WHEN status = 'pending' THEN now() + interval '1 d' END, at,
        CASE WHEN %(ended)s THEN at + interval '1 s' * (n %% 600) END
    FROM (SELECT *, uuidv7(at - now()) AS id, 'tenant' || n %% 100 AS tenant,
            CASE WHEN NOT %(ended)s THEN (ARRAY['waiting', 'pending'])[1 + n %% 2]
                WHEN n %% 10 < 9 THEN 'completed' ELSE (ARRAY['failed', 'timeout', 'cancelled'])[1 + n / 10 %% 3]
                END AS status,
            (ARRAY['step_failed', 'upstream_unavailable', 'budget_exhausted', 'poison'])
                [1 + (n / 10 %% 1000 > 500)::int + (n / 10 %% 1000 > 800)::int + (n / 10 %% 1000 > 998)::int]
                AS error_type
          FROM (SELECT n, now() - interval '30 days' * (1 - n::float8 / %(most)s) AS at
                FROM generate_series(%(first)s::int, %(last)s::int) AS n) AS ages) AS tasks
"""
_LABELS = """
    INSERT INTO agent_tasks.labels (key, value, task_id)
    SELECT pair.key, pair.value, id FROM agent_tasks.tasks, jsonb_each_text(metadata) AS pair
"""
_CHUNK = 100_000


def run(quick: bool) -> list[Table]:
    with deployment() as made:
        ended, living = (ENDED // QUICK, LIVING // QUICK) if quick else (ENDED, LIVING)
        fill(made, ended, living)
        table = Table(
            "Searching tasks",
            note=f"{ended:,} tasks that have ended and {living:,} that live; pages of 100, of other values in "
            "each search; of the deep ones, the tenth page.",
        )
        for name, asked in searches(ended).items():
            p95 = percentile([_one(made, asked) for _ in range(ROUNDS)], 0.95) * 1000
            table.check(f"{name}, p95", at_most(200, "ms"), p95, f"{p95:.1f} ms")
    return [table]


def fill(made: Deployment, ended: int, living: int) -> None:
    with made.client.database.connection() as connection:
        connection.execute("SET session_replication_role = replica")  # neither triggers nor foreign keys
        for count, is_ended in ((ended, True), (living, False)):
            for first in range(1, count + 1, _CHUNK):
                last = min(count, first + _CHUNK - 1)
                connection.execute(_TASKS, {"first": first, "last": last, "most": count, "ended": is_ended})
        connection.execute(_LABELS)
        connection.execute("RESET session_replication_role")
        connection.execute("VACUUM ANALYZE agent_tasks.tasks")
        connection.execute("VACUUM ANALYZE agent_tasks.labels")


def searches(ended: int) -> dict[str, Callable[[], dict[str, Any]]]:
    """What is asked, by name; with `pages`, so many pages on."""

    def ago() -> timedelta:
        return timedelta(seconds=random.uniform(86_400, 29 * 86_400))

    def hour(of: str) -> dict[str, Any]:
        at = datetime.now(UTC) - ago()
        return {f"{of}_after": at, f"{of}_before": at + timedelta(hours=1)}

    def any_of(count: int) -> int:
        return random.randrange(1, count)

    return {
        "nothing": dict,
        "nothing, deep": lambda: {"pages": 10},
        "status": lambda: {"status": random.choice(["failed", "completed", "waiting", "pending", "timeout"])},
        "agent, common or rare": lambda: {"agent": f"agent{any_of(13)}"},
        "agent and status": lambda: {"agent": f"agent{any_of(13)}", "status": "failed"},
        "step": lambda: {"step": f"step{any_of(40)}"},
        "step that none has": lambda: {"step": "nowhere"},
        "queue and status": lambda: {"queue": f"queue{any_of(6)}", "status": "waiting"},
        "tenant": lambda: {"tenant": f"tenant{any_of(100)}"},
        "tenant and agent": lambda: {"tenant": f"tenant{any_of(100)}", "agent": f"agent{any_of(13)}"},
        "subject": lambda: {"subject": f"subject{any_of(5000)}"},
        "subject of a tenant": lambda: {"tenant": f"tenant{any_of(100)}", "subject": f"subject{any_of(5000)}"},
        "an identity's": lambda: {
            "identity": Identity(subject=f"subject{any_of(5000)}", tenant=f"tenant{any_of(100)}")
        },
        "session": lambda: {"session_id": f"session{any_of(ended // 7)}"},
        "error type, common or rare": lambda: {"error_type": random.choice(["step_failed", "poison"])},
        "error type and agent": lambda: {"error_type": "budget_exhausted", "agent": f"agent{any_of(13)}"},
        "submitted within an hour": lambda: hour("created"),
        "submitted since, by agent": lambda: {"created_after": ago(), "agent": f"agent{any_of(13)}"},
        "submitted before, by agent": lambda: {"created_before": ago(), "agent": f"agent{any_of(13)}"},
        "ended within an hour": lambda: hour("ended"),
        "ended within an hour, failed": lambda: {**hour("ended"), "status": "failed"},
        "ended since, by a rare agent": lambda: {"ended_after": ago(), "agent": "agent11"},
        "ended before, deep": lambda: {"ended_before": ago(), "pages": 10},
        "metadata, of one": lambda: {"metadata": {"ticket": any_of(ended)}},
        "metadata, of most": lambda: {"metadata": {"env": "prod"}},
        "metadata and status": lambda: {"metadata": {"env": "dev"}, "status": "failed"},
        "words of errors, rare": lambda: {"text": f"upstream {_word(any_of(500))}"},
        "words of errors, common": lambda: {"text": "rate limit"},
        "words that no error has": lambda: {"text": "nowhere to be found"},
        "words and agent": lambda: {"text": "bad gateway", "agent": f"agent{any_of(13)}"},
        "the beginning of an id": lambda: {"text": f"{round((time.time() - ago().total_seconds()) * 1000):012x}"[:10]},
        "two that seldom meet": lambda: {"queue": "queue1", "metadata": {"env": "prod"}},
        "two that never meet": lambda: {"status": "waiting", "error_type": "step_failed"},
    }


def _word(number: int) -> str:
    from hashlib import md5

    return md5(str(number).encode(), usedforsecurity=False).hexdigest()[:8]


def _one(made: Deployment, asked: Callable[[], dict[str, Any]]) -> float:
    values = asked()
    pages, identity = values.pop("pages", 1), values.pop("identity", None)
    wanted, after, seconds = TaskFilter(**values), None, 0.0
    for _ in range(pages):
        start = time.perf_counter()
        page = made.client.search(wanted, after=after, identity=identity)
        seconds, after = time.perf_counter() - start, page.next
        if after is None:
            break
    return seconds
