"""How soon a receiver hears of a task's end, and what endpoints that hang or are dead cost the others."""

import random
import socket
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any
from uuid import UUID, uuid4

from agent_tasks.transitions import delivery
from benchmarks import receiver
from benchmarks.deployment import Deployment, deployment, until
from benchmarks.tables import Table, at_least, at_most, spread

TASKS, ROUNDS, DELIVERIES, HANGING, BACKLOG, CLAIMS = 60, 5, 2_000, 20, 100_000, 200
_SECRET = "whsec_" + "QUFB" * 8
_ENDPOINT = """
    INSERT INTO agent_tasks.webhooks (id, tenant, name, trusted, url, types, secret)
    VALUES (%(id)s, %(tenant)s, %(id)s::text, true, %(url)s, ARRAY['task.completed'], %(secret)s)
"""
# Of tasks that are no more: what is sent is thin, so that nobody looks for them.
_TOLD = """
    WITH told AS (
        INSERT INTO agent_tasks.outbox (task_id, seq, type, agent, status, version)
        SELECT gen_random_uuid(), 1, 'task.completed', 'loop', 'completed', 4 FROM generate_series(1, %(number)s)
        RETURNING *
    )
    INSERT INTO agent_tasks.deliveries (outbox_id, webhook_id, lane, task_id, seq, type)
    SELECT id, %(webhook)s, 'webhook:' || %(webhook)s, task_id, seq, type FROM told
"""
_TERMS: dict[str, Any] = {
    "room": {}, "usual_room": 0, "tenant_room": {}, "usual_tenant_room": 0, "limit": 1000, "failing": 5,
    "lease_seconds": 60,
}  # fmt: skip
_DROPPED = """
    UPDATE agent_tasks.deliveries SET status = 'dropped', due_at = NULL, ended_at = clock_timestamp()
    WHERE webhook_id = ANY (%(hooks)s) AND status = 'pending'
"""
_IDLE = "SELECT NOT EXISTS (SELECT FROM agent_tasks.deliveries WHERE due_at IS NOT NULL)"


@dataclass(frozen=True)
class _Site:
    """A deployment with a deliverer, and a receiver beside it."""

    made: Deployment
    port: int

    def endpoint(self, path: str, *, port: int = 0, tenant: str = "elsewhere") -> UUID:
        """An endpoint of a tenant without tasks, unless it is named."""
        values = {"id": uuid4(), "tenant": tenant, "secret": _SECRET}
        self.run(_ENDPOINT, url=f"http://127.0.0.1:{port or self.port}{path}", **values)
        return values["id"]  # type: ignore[return-value]

    def tell(self, webhook: UUID, number: int) -> None:
        self.run(_TOLD, webhook=webhook, number=number)

    def run(self, sql: str, **values: object) -> None:
        with self.made.client.database.connection() as connection:
            connection.execute(sql, values)  # type: ignore[arg-type]

    def rate(self, webhook: UUID, number: int) -> float:
        """Deliveries a second that come to the receiver, of so many that are due at once."""
        receiver.ask(self.port, "/came")
        self.tell(webhook, number)
        start = time.perf_counter()
        until(lambda: receiver.ask(self.port, "/seen")["came"] >= number, "all webhooks came", every=0.02)
        return number / (time.perf_counter() - start)

    def claim_seconds(self, times: int) -> list[float]:
        """How long a claim takes that finds nothing to send."""
        seconds: list[float] = []
        for _ in range(times):
            start = time.perf_counter()
            with self.made.client.database.transaction() as connection:
                delivery.claim(connection, **_TERMS)
            seconds.append(time.perf_counter() - start)
        return seconds


def run(quick: bool) -> list[Table]:
    with deployment() as made, _site(made) as site:
        return [_latency(site, 10 if quick else TASKS), *_throughput(site, 1 if quick else ROUNDS)]


@contextmanager
def _site(made: Deployment) -> Generator[_Site]:
    port = _free_port()
    with (
        made.process("benchmarks.receiver", str(port)),
        made.process("agent_tasks.cli", "deliverer", "--loglevel", "WARNING", webhook_allow="127.0.0.1"),
    ):
        until(lambda: _answers(port), "the receiver serves")
        yield _Site(made, port)


def _latency(site: _Site, times: int) -> Table:
    table = Table("From the end of a task to its webhook", note=f"{times} tasks, one after the other, at any moment.")
    site.endpoint("/fast", tenant="")
    seconds: list[float] = []
    with site.made.worker():
        until(lambda: site.made.value(_IDLE), "all is delivered")
        for _ in range(times):
            time.sleep(random.random() * 0.3)
            receiver.ask(site.port, "/came")
            task = site.made.client.submit("loop", {"steps": 1})
            finished = task.wait(timeout=30).finished_at
            until(lambda: receiver.ask(site.port, "/seen")["came"], "its webhook came", every=0.005)
            assert finished is not None
            (came,) = receiver.ask(site.port, "/came").values()
            seconds.append(came - finished.timestamp())
    table.check_times("end of a task to request received", seconds, p50=at_most(700, "ms"))
    return table


def _throughput(site: _Site, rounds: int) -> list[Table]:
    fast = site.endpoint("/fast")
    hanging = [site.endpoint("/hang") for _ in range(HANGING)]
    dead = site.endpoint("/", port=_free_port())
    site.rate(fast, DELIVERIES)
    alone = [site.rate(fast, DELIVERIES) for _ in range(rounds)]
    for each in hanging:
        site.tell(each, 500)
    until(lambda: receiver.ask(site.port, "/seen")["hanging"] >= HANGING, "all of them hang")
    beside = [site.rate(fast, DELIVERIES) for _ in range(rounds)]
    site.run(_DROPPED, hooks=hanging)
    until(lambda: not receiver.ask(site.port, "/seen")["hanging"], "none hangs any more", every=0.1)
    before, claims = [site.rate(fast, DELIVERIES) for _ in range(rounds)], site.claim_seconds(CLAIMS)
    site.tell(dead, BACKLOG)
    until(lambda: site.made.value("SELECT count(*) FROM agent_tasks.lanes WHERE failures >= 5") > 0, "it is seen dead")
    behind, claims_behind = [site.rate(fast, DELIVERIES) for _ in range(rounds)], site.claim_seconds(CLAIMS)
    hangs = Table(
        f"Webhooks to a fast receiver, beside {HANGING} endpoints that hang",
        note=f"{DELIVERIES:,} due at once, {rounds} rounds; one deliverer, receiver in a process of its own.",
    )
    hangs.check("beside those that hang", at_least(300, "/s"), median(beside), f"{spread(beside)} /s")
    hangs.check("without them", None, median(alone), f"{spread(alone)} /s")
    ratio = median(beside) / median(alone)
    hangs.check("with against without", None, ratio, f"{ratio:.2f} ×")
    backlog = Table(f"A backlog of {BACKLOG:,} deliveries to a dead endpoint", note=hangs.note)
    backlog.check("others, with it", None, median(behind), f"{spread(behind)} /s")
    backlog.check("others, without it", None, median(before), f"{spread(before)} /s")
    ratio = median(behind) / median(before)
    backlog.check("with against without", at_least(0.9, "×"), ratio, f"{ratio:.2f} ×")
    backlog.check_times("a claim that finds nothing, with it", claims_behind)
    backlog.check_times("a claim that finds nothing, without it", claims)
    return [hangs, backlog]


def _answers(port: int) -> bool:
    try:
        return receiver.ask(port, "/seen") is not None
    except OSError:
        return False


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]
