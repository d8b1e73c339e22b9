"""Who watches a task sees all of it, in order, and once."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from agent_tasks import AgentTasks, Identity
from tests.agents import notes
from tests.conftest import Fleet
from tests.eventually import eventually


def test_a_follower_sees_every_event_in_order_while_the_task_runs(fleet: Fleet) -> None:
    task = fleet.client.submit("talkative", {"says": 100})
    seen = list(task.events(follow=True, timeout=20))
    assert [event.seq for event in seen] == list(range(1, len(seen) + 1))
    assert [event.data["number"] for event in seen if event.type == "said"] == list(range(100))
    assert [event.type for event in seen][:3] == ["submitted", "dispatched", "claimed"]
    assert seen[-1].type == "finished"
    assert list(task.events()) == seen
    assert list(task.events(after=50, follow=True, timeout=5)) == seen[50:]


def test_the_histories_tell_all_that_happened_and_by_whom(fleet: Fleet, tmp_path: Path) -> None:
    """All that an auditor asks for, but for leases that expire: those are with the crashes."""
    client, ana = fleet.client, Identity(subject="ana", tenant="acme")
    approved = client.submit("approval", identity=ana)
    eventually(lambda: approved.stored().status == "waiting")
    approved.signal("approval", {"ok": True}, signal_id="one", identity=ana)
    resumed = client.submit("fails")
    resumed.wait(timeout=30)
    tasks = [
        approved,
        client.submit("foreman", {"family": [{"agent": "buyer", "input": {"tokens": 1, "usd": 0.5}}]}),
        client.submit("retried", {"fail": 1}),
        client.submit("booking", {"folder": str(tmp_path)}),
        resumed.resume(),
    ]
    for task in tasks:
        task.wait(timeout=30)
    tasks += tasks[1].children()
    data = {event.type: event.data for task in tasks for event in task.events()}
    for task in tasks:
        assert [event.seq for event in task.events()] == list(range(1, len(list(task.events())) + 1))
    assert data.keys() >= {
        "submitted", "dispatched", "claimed", "committed", "waiting", "signalled", "spawned", "joined", "charged",
        "retried", "resumed", "undoing", "undone", "finished",
    }  # fmt: skip
    assert data["signalled"]["sender"]["subject"] == "ana"
    assert (data["signalled"]["name"], data["signalled"]["signal_id"]) == ("approval", "one")
    assert data["spawned"] == {"children": 1, "agents": ["buyer"]}
    assert data["charged"] == {"tokens": 1, "usd": 0.5}
    assert (data["retried"]["failures"], data["retried"]["error"]) == (1, "attempt 1")
    assert data["resumed"]["from"] == str(resumed.id)
    assert data["undone"]["step"] == "hotel"
    assert data["claimed"]["worker"]


def test_a_follower_sees_events_before_the_task_has_ended(fleet: Fleet, tmp_path: Path) -> None:
    task = fleet.client.submit("patient", {"folder": str(tmp_path)})
    events = task.events(follow=True, timeout=20)
    assert [next(events).type for _ in range(3)] == ["submitted", "dispatched", "claimed"]
    (tmp_path / "go").touch()
    assert [event.type for event in events] == ["committed", "finished"]


def test_many_followers_of_many_tasks_miss_nothing(fleet: Fleet) -> None:
    tasks = fleet.client.submit_many("talkative", [{"says": 10}] * 10)
    with ThreadPoolExecutor(20) as pool:
        histories = list(pool.map(lambda task: [e.seq for e in task.events(follow=True, timeout=30)], tasks * 2))
    assert all(seqs == list(range(1, len(seqs) + 1)) for seqs in histories)
    assert histories[:10] == histories[10:]


def test_fifty_wait_for_one_task(fleet: Fleet, tmp_path: Path) -> None:
    task = fleet.client.submit("patient", {"folder": str(tmp_path)})
    eventually(lambda: notes(tmp_path))
    waiting = threading.Semaphore(0)

    def wait() -> str:
        own = fleet.client.get(task.id)
        waiting.release()
        return own.result(timeout=30)

    with ThreadPoolExecutor(50) as pool:
        waiters = [pool.submit(wait) for _ in range(50)]
        for _ in waiters:
            waiting.acquire()
        (tmp_path / "go").touch()
        assert [waiter.result() for waiter in waiters] == ["done"] * 50


def test_versions_never_regress_for_a_poller_while_a_task_runs(fleet: Fleet) -> None:
    task = fleet.client.submit("hops", {"to": 30})
    another = AgentTasks(fleet.settings)
    seen: list[tuple[int, int]] = []

    def look() -> bool:
        snapshot = another.get(task.id).snapshot()
        seen.append((snapshot.version, snapshot.step_number))
        return snapshot.status.is_terminal

    eventually(look)
    another.close()
    assert seen == sorted(seen)
