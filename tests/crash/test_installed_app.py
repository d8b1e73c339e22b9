"""A team's tasks behave with `install` as without it, and steps in its workers survive what kills them."""

import signal
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from celery import chord

from agent_tasks import AgentTasks, Settings
from tests.agents import notes
from tests.eventually import eventually
from tests.processes import Processes, Running
from tests.shop_processes import begin, shop


def settings_of(client: AgentTasks, alone: str) -> Settings:
    """The two workers have a Redis each."""
    url = client.settings.redis_url.removesuffix("/0") + ("/1" if alone else "/0")
    return client.settings.model_copy(update={"redis_url": url})


def results(theirs: Any) -> dict[str, Any]:
    second, itself = (theirs.send_task(f"tests.shop.{task}") for task in ("second_time", "about_itself"))
    add, total = (theirs.signature(f"tests.shop.{task}") for task in ("add", "total"))
    tripled: Any = chord([add.clone((n, n)) for n in range(3)])(total.clone())
    return {
        "retried": second.get(timeout=20),
        "about itself": itself.get(timeout=20),
        "chord": tripled.get(timeout=20),
    }


def heard_of_theirs(folder: Path) -> list[str]:
    """The signals of their tasks, once each task that began has ended: a result comes before its signal."""

    def all_ended() -> bool:
        heard = notes(folder)
        began, ended = (
            sum(line.startswith(kind) for line in heard)
            for kind in ("task_prerun tests.shop", "task_postrun tests.shop")
        )
        return began == ended

    eventually(all_ended)
    return sorted(line for line in notes(folder) if "tests.shop" in line)


def test_a_task_knows_of_itself_what_it_knows_without_us(
    client: AgentTasks, processes: Processes, tmp_path: Path
) -> None:
    seen: list[Any] = []
    for alone in ("1", ""):
        settings, heard = settings_of(client, alone), tmp_path / f"alone{alone}"
        heard.mkdir()
        begin(processes, settings, "-P", "prefork", "--without-mingle", SHOP_ALONE=alone, SHOP_HEARS=str(heard))
        with shop(settings) as theirs:
            found = results(theirs)
        seen.append((found, heard_of_theirs(heard)))
    assert seen[0] == seen[1]
    assert seen[0][0]["chord"] == 6
    assert seen[0][0]["about itself"][-1] == "as before"


def told(worker: Running, theirs: Any, folder: Path) -> dict[str, Any]:
    """What a team sees of its tasks in this worker."""
    name = [f"{worker.name}@test"]
    seen: dict[str, Any] = {}

    def send(task: str, *args: Any, **options: Any) -> Any:
        return theirs.send_task(f"tests.shop.{task}", args, **options)

    with theirs.connection_for_read() as connection:
        events: list[tuple[str, str]] = []
        receiver = theirs.events.Receiver(
            connection, handlers={"*": lambda event: events.append((event["type"], event.get("uuid", "")))}
        )
        listening = threading.Thread(target=receiver.capture, kwargs={"wakeup": False}, daemon=True)
        listening.start()
        eventually(lambda: ("worker-heartbeat", "") in events)
        watched = send("second_time")
        eventually(lambda: ("task-succeeded", watched.id) in events)
        receiver.should_stop = True
        listening.join(20)
    seen["events"] = sorted(kind for kind, uuid in events if uuid == watched.id)
    seen |= results(theirs)
    seen["eta"] = send("add", 2, 2, countdown=0.5).get(timeout=20)
    seen["time limit"] = send("too_slow").get(timeout=20)
    late = send("add", 3, 3, countdown=100)
    eventually(lambda: any((theirs.control.inspect(name).scheduled() or {}).values()))
    theirs.control.revoke(late.id, destination=name, reply=True)
    seen["revoked"] = late.id in (theirs.control.inspect(name).revoked() or {})[name[0]]
    seen["ping"] = theirs.control.inspect(name).ping()[name[0]]
    seen["rate limit"] = theirs.control.rate_limit("tests.shop.add", "9/s", destination=name, reply=True)[0][name[0]]
    seen["conf"] = theirs.control.inspect(name).conf()[name[0]]
    registered = theirs.control.inspect(name).registered()[name[0]]
    seen["registered"] = [task for task in registered if task.startswith("tests.shop")]
    seen["queues"] = [queue["name"] for queue in theirs.control.inspect(name).active_queues()[name[0]]][:1]
    pids = [send("process_id").get(timeout=20) for _ in range(8)]
    seen["children were replaced"] = len(set(pids)) > 2
    seen["signals"] = [line for line in heard_of_theirs(folder) if "process_id" not in line]
    return seen


@pytest.mark.slow
def test_tasks_results_events_signals_and_commands_are_as_without_us(
    client: AgentTasks, processes: Processes, tmp_path: Path
) -> None:
    seen: list[dict[str, Any]] = []
    for number, alone in enumerate(("1", "")):
        settings = settings_of(client, alone)
        folder = tmp_path / str(number)
        folder.mkdir()
        worker = begin(
            processes,
            settings,
            *("-P", "prefork", "-E", "--max-tasks-per-child", "3"),
            SHOP_ALONE=alone,
            SHOP_HEARS=str(folder),
        )
        with shop(settings) as theirs:
            seen.append(told(worker, theirs, folder))
        worker.send(signal.SIGTERM)
        assert worker.wait_for_exit() == 0
    without, with_us = seen
    for what in without:
        if what == "conf":
            changed = {key for key in without[what] if without[what][key] != with_us[what].get(key)}
            assert changed <= {"broker_url", "result_backend", "include"}, changed
            modules = set(with_us[what]["include"]) - set(without[what]["include"])  # Celery adds those of all tasks
            assert all(name.startswith("agent_tasks.") for name in modules), modules
        else:
            assert with_us[what] == without[what], what


def begun(folder: Path) -> int:
    return notes(folder).count("holds")


@pytest.mark.slow
@pytest.mark.parametrize("alone", ["1", ""])
def test_what_a_killed_worker_of_theirs_had_not_acknowledged_is_delivered_again(
    processes: Processes, settings: Settings, tmp_path: Path, alone: str
) -> None:
    worker = begin(processes, settings, "-P", "prefork", SHOP_ALONE=alone)
    with shop(settings) as theirs:
        sent: Any = theirs.send_task("tests.shop.hold", [str(tmp_path)])
        eventually(lambda: begun(tmp_path) == 1)
        worker.kill()
        (tmp_path / "go").touch()
        begin(processes, settings, "-P", "prefork", SHOP_ALONE=alone)
        assert sent.get(timeout=30) == "held"
    assert begun(tmp_path) == 2


@pytest.mark.slow
@pytest.mark.parametrize("pool", ["threads", "prefork"])
def test_a_worker_that_is_told_to_end_waits_for_their_task_however_long_our_drain_is(
    processes: Processes, settings: Settings, client: AgentTasks, tmp_path: Path, pool: str
) -> None:
    worker = begin(processes, settings, "-P", pool, AGENT_TASKS_DRAIN_SECONDS="0.2")
    eventually(lambda: "takes steps" in worker.output)
    with shop(settings) as theirs:
        sent: Any = theirs.send_task("tests.shop.hold", [str(tmp_path)])
        eventually(lambda: begun(tmp_path) == 1)
        worker.send(signal.SIGTERM)
        eventually(lambda: "Warm shutdown" in worker.output)
        with pytest.raises(TimeoutError):
            worker_ended(worker, 5)
        (tmp_path / "go").touch()
        assert sent.get(timeout=30) == "held"
    assert worker.wait_for_exit() == 0
    assert notes(tmp_path) == ["holds", "held"]


def worker_ended(worker: Running, seconds: float) -> None:
    """Raise TimeoutError if it has not ended within the seconds, longer than any drain of ours takes here."""
    try:
        eventually(lambda: not worker.is_alive, seconds)
    except AssertionError:
        raise TimeoutError from None


@pytest.mark.slow
@pytest.mark.parametrize("pool", ["threads", "prefork"])
def test_a_step_that_killed_a_worker_of_theirs_is_run_apart_in_its_app(
    client: AgentTasks, processes: Processes, tmp_path: Path, pool: str
) -> None:
    worker = begin(processes, client.settings, "-P", pool)
    eventually(lambda: "takes steps" in worker.output)
    processes.sweeper()
    processes.beat()
    task = client.submit("shop_deadly", {"folder": str(tmp_path)})
    eventually(lambda: "dies" in notes(tmp_path))
    if pool == "threads":
        worker.wait_for_exit()
        begin(processes, client.settings, "-P", pool)
    assert task.result(timeout=40) == ["shop", 2]
    assert any("a process begins for suspect steps" in process.output for process in processes.all)


_DESK = """
import os
import signal
from celery import Celery
from agent_tasks import Context, agent
from agent_tasks.celery import install

app = Celery("desk", broker=os.environ["AGENT_TASKS_REDIS_URL"])
install(app)


@agent("dies_once")
async def dies_once(ctx: Context, path: str):
    if not os.path.exists(path):
        open(path, "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    return "survived"
"""
_THERE = "import os, sys; os.chdir(sys.argv[1]); os.execv(sys.argv[2], sys.argv[2:])"


@pytest.mark.slow
def test_a_step_that_killed_its_worker_is_run_apart_where_only_celery_looks_in_the_folder_of_the_app(
    client: AgentTasks, processes: Processes, tmp_path: Path
) -> None:
    """The script `celery` takes the current folder out of sys.path again, once it has the app."""
    (tmp_path / "desk.py").write_text(_DESK)
    program = [sys.executable, "-c", _THERE, str(tmp_path), str(Path(sys.executable).parent / "celery")]
    arguments = [*program, "-A", "desk", "worker", "-P", "prefork", "-c", "1", "--without-mingle"]
    processes.start("desk", arguments, processes.environment(agents=("desk",), lease_seconds=1.0))
    processes.wait_until_ready(processes.sweeper(ready=False), processes.beat(ready=False))
    assert client.submit("dies_once", {"path": str(tmp_path / "died")}).result(timeout=60) == "survived"


@pytest.mark.slow
def test_a_time_limit_of_the_app_ends_no_step(client: AgentTasks, processes: Processes) -> None:
    begin(processes, client.settings, "-P", "prefork", SHOP_TIME_LIMIT="1")
    assert client.submit("shop_slow", {"seconds": 2}).result(timeout=30) == "slept"


def test_a_signal_to_all_processes_of_their_worker_ends_no_task_in_the_midst_of_its_step(
    client: AgentTasks, processes: Processes, tmp_path: Path
) -> None:
    worker = begin(processes, client.settings, "-P", "prefork", AGENT_TASKS_LEASE_SECONDS="600")
    eventually(lambda: "takes steps" in worker.output)
    task = client.submit("shop_held", {"folder": str(tmp_path)})
    eventually(lambda: begun(tmp_path) == 1)
    worker.send_all(signal.SIGTERM)
    worker.wait_for_exit()
    (tmp_path / "go").touch()
    begin(processes, client.settings, "-P", "prefork")
    assert task.result(timeout=30) == "held"
    assert begun(tmp_path) == 2


@pytest.mark.slow
def test_where_each_process_of_theirs_takes_one_message_a_step_of_any_length_has_one_for_itself(
    client: AgentTasks, processes: Processes, tmp_path: Path
) -> None:
    one = ("-P", "prefork", "--max-tasks-per-child", "1")
    worker = begin(processes, client.settings, *one, AGENT_TASKS_DRAIN_SECONDS="0.1")
    task = client.submit("shop_patient", {"folder": str(tmp_path)})
    eventually(lambda: notes(tmp_path))
    assert client.submit("shop_slow", {"seconds": 0.5}).result(timeout=30) == "slept"
    (tmp_path / "go").touch()
    assert task.result(timeout=30) == len(str(tmp_path))
    assert notes(tmp_path) == ["idles"]
    worker.send(signal.SIGTERM)
    assert worker.wait_for_exit() == 0
