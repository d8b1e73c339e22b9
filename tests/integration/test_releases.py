"""Two releases of an agent on one queue: what the code of a worker cannot take is left to one that can."""

from agent_tasks import AgentTasks, TaskHandle
from tests import rows
from tests.eventually import eventually
from tests.processes import Processes

OLD, NEW = {"agents": ("tests.release_old",)}, {"agents": ("tests.release_new",)}


def waiting(client: AgentTasks, **options: float) -> TaskHandle:
    """A task that the new release has begun, and that waits for `go`."""
    task = client.submit("grows", {"to": "ana"}, **options)
    eventually(lambda: task.stored().waiting_for)
    return task


def refused(task: TaskHandle) -> bool:
    found = task.stored().unserved
    return found is not None and found.reason == "refused" and "by" in found.message


def test_what_only_the_new_release_can_take_waits_for_it_and_ends_resumable_without_it(
    client: AgentTasks, processes: Processes
) -> None:
    (new,) = processes.fleet(**NEW, ttl_seconds=1.0)
    kept, lost = waiting(client), waiting(client, ttl=1)
    new.kill()
    old = processes.worker(**OLD)
    for task in (kept, lost):
        task.signal("go")
    eventually(lambda: refused(kept))
    ended = lost.wait(timeout=30)
    assert ended.error is not None
    assert (ended.status, ended.error.type, ended.error.suggested_action) == ("failed", "context_lost", "resume")
    assert "grows.finish does not accept its input: by: Extra inputs" in ended.error.message
    assert "Deploy a release that takes it, then resume the task." in ended.error.message
    old.kill()
    processes.worker(**NEW)
    assert kept.result(timeout=30) == lost.resume().result(timeout=30) == "hello ana from us"
    assert rows.events(client, kept.id, "claimed")[-1]["data"]["attempt"] == 1
    assert {e["data"]["why"] for e in rows.events(client, kept.id, "released")} == {
        "grows.finish does not accept its input: by: Extra inputs are not permitted"
    }


def test_tasks_pass_the_old_workers_while_both_releases_run(client: AgentTasks, processes: Processes) -> None:
    processes.fleet(**NEW)
    tasks = [waiting(client) for _ in range(4)]
    processes.worker(**OLD)
    for task in tasks:
        task.signal("go")
    assert {task.result(timeout=30) for task in tasks} == {"hello ana from us"}


def test_an_input_that_no_living_worker_takes_is_refused_soon(client: AgentTasks, processes: Processes) -> None:
    processes.worker(**NEW, lease_seconds=1.0).kill()
    task = client.submit("grows", {"to": "ana", "by": "bob"})  # as the schema says that the new release registered
    processes.fleet(**OLD, lease_seconds=1.0)
    ended = task.wait(timeout=30)
    assert ended.error is not None
    assert (ended.status, ended.error.type, ended.error.suggested_action) == ("failed", "invalid_input", "fix_input")


def test_what_another_release_calls_otherwise_goes_on_is_undone_and_resumed_under_the_new_names(
    client: AgentTasks, processes: Processes
) -> None:
    old = processes.worker(**OLD)
    goes_on, taken_back, resumed = (client.submit("moves", {"who": "ana"}) for _ in range(3))
    for task in (goes_on, taken_back, resumed):
        eventually(lambda task=task: task.stored().waiting_for)
    old.kill()
    begins = client.submit("moves", {"who": "bob"})  # by the names that the old release registered
    assert begins.stored().step == "pack"
    processes.worker(**NEW)
    for task in (goes_on, resumed):
        task.signal("go")
    assert goes_on.result(timeout=30) == resumed.result(timeout=30) == "ana was brought 7"
    taken_back.cancel()
    assert taken_back.wait(timeout=30).status == "cancelled"
    assert [e["data"] for e in rows.events(client, taken_back.id, "sent_back")] == [{"to": "ana", "box": 7}]
    eventually(lambda: begins.stored().waiting_for)
    assert begins.stored().step == "bring"
    assert resumed.resume(from_step=1).stored().step == "carry"
