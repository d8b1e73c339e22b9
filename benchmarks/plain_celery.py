"""The rival: a bare Celery chain, each task sending the next, nothing durable."""

import os

from celery import Celery

app = Celery("plain", broker=os.environ.get("AGENT_TASKS_REDIS_URL", ""))
app.conf.update(task_ignore_result=True, worker_prefetch_multiplier=4, task_default_queue="plain")


@app.task(name="plain.spin")
def spin(steps: int) -> None:
    if steps > 1:
        spin.delay(steps - 1)
    else:
        app.backend_client.incr("plain:done")


class _Counter:
    """Counts the finished chains in Redis, as cheaply as can be."""

    def __init__(self) -> None:
        import redis

        self._client = redis.Redis.from_url(os.environ["AGENT_TASKS_REDIS_URL"])

    def incr(self, key: str) -> None:
        self._client.incr(key)


if os.environ.get("AGENT_TASKS_REDIS_URL"):
    app.backend_client = _Counter()  # type: ignore[attr-defined]
