"""The desk works: its tickets and their tasks are committed together, and it follows and approves them."""

import asyncio
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI, WebSocket
from starlette.testclient import TestClient

from agent_tasks import AgentTasks, InvalidInput, Settings
from agent_tasks.aio import AsyncAgentTasks
from agent_tasks.contrib.fastapi import Submit, Tasks, lifespan
from tests.apps.fastapi_desk.main import create_app
from tests.conftest import fresh_deployment
from tests.database import query
from tests.documents import module_of, write_module
from tests.eventually import eventually
from tests.processes import Processes

PAGE = "docs/fastapi.md"


@pytest.fixture(scope="module")
def processes(
    server_urls: tuple[str, str], template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Processes]:
    """A worker with the agents of the desk and of the document."""
    folder = tmp_path_factory.mktemp("desk")
    page = write_module(PAGE, folder)
    with (
        pytest.MonkeyPatch.context() as patch,
        fresh_deployment(server_urls, template) as settings,
        Processes(settings, folder) as processes,
    ):
        patch.setenv("DATABASE_URL", settings.database_url)
        environment = processes.environment(agents=("tests.apps.fastapi_desk.agents", page))
        environment["PYTHONPATH"] += os.pathsep + str(folder)
        for name, value in environment.items():
            if name.startswith("AGENT_TASKS_"):
                patch.setenv(name, value)
        argv = [
            "-m",
            "celery",
            "-A",
            "workers",
            "worker",
            "-n",
            "desk@test",
            "-l",
            "INFO",
            "-P",
            "threads",
            "--without-mingle",
        ]
        worker = processes.start("desk", [sys.executable, *argv], environment)
        eventually(lambda: "desk@test ready" in worker.output, timeout=100)
        yield processes


@pytest.fixture(scope="module")
def settings(processes: Processes) -> Settings:
    return processes.settings


@pytest.fixture(scope="module")
def database(settings: Settings) -> Iterator[AgentTasks]:
    client = AgentTasks(settings)
    yield client
    client.close()


@pytest.fixture(scope="module")
def http(settings: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(settings), raise_server_exceptions=False) as http:
        yield http


def counted(database: AgentTasks) -> tuple[int, int]:
    """Tickets, and tasks."""
    (row,) = query(
        database,
        "SELECT (SELECT count(*) FROM public.tasks) AS tickets, (SELECT count(*) FROM agent_tasks.tasks) AS tasks",
    )
    return row["tickets"], row["tasks"]


def test_a_ticket_is_answered_after_its_approval(http: TestClient) -> None:
    opened = http.post("/tickets", json={"question": "no sound", "urgent": True})
    assert opened.status_code == 201, opened.text
    place = f"/tickets/{opened.json()['ticket']}"
    eventually(lambda: http.get(place).json()["status"] == "waiting")
    assert http.get(place).json()["waiting_for"]["name"] == "approval"
    answered = http.post(f"{place}/approval", json={"ok": True}).json()
    assert answered["sent"] == "Have you tried turning it off and on again? (no sound)"
    assert http.get(place).json()["status"] == "completed"
    streamed = http.get(f"{place}/events")
    assert streamed.headers["content-type"].startswith("text/event-stream")
    types = [json.loads(line.removeprefix("data: "))["type"] for line in streamed.text.splitlines() if line]
    assert (types[0], types[-1]) == ("submitted", "finished")
    assert "signalled" in types


def test_a_ticket_and_its_task_are_there_together_or_not_at_all(http: TestClient, database: AgentTasks) -> None:
    before = counted(database)
    assert http.post("/tickets", json={"question": ""}).status_code == 500  # the table's own CHECK
    assert http.post("/tickets", json={"question": "x" * 2_000_000}).status_code == 422  # the task is too large
    assert http.post("/imports", json=[{"question": "one"}, {"question": ""}]).status_code == 500
    assert counted(database) == before


def test_many_tickets_are_committed_with_their_tasks(http: TestClient, database: AgentTasks) -> None:
    tickets, tasks = counted(database)
    numbers = http.post("/imports", json=[{"question": f"q{n}"} for n in range(3)]).json()
    assert counted(database) == (tickets + 3, tasks + 3)
    for number in numbers:
        eventually(lambda number=number: http.get(f"/tickets/{number}").json()["status"] == "waiting")
        assert http.post(f"/tickets/{number}/approval", json={"ok": False}).json()["sent"] is None


def test_the_client_is_handed_to_websockets_too_and_closed_with_the_app(settings: Settings) -> None:
    app = FastAPI(lifespan=lifespan(settings))

    @app.websocket("/agents")
    async def agents(socket: WebSocket, tasks: Tasks) -> None:
        await socket.accept()
        await socket.send_json([agent.name for agent in await tasks.agents()])

    with TestClient(app) as http:
        client = app.state.agent_tasks.blocking
        with http.websocket_connect("/agents") as socket:
            assert "desk-answer" in socket.receive_json()
        assert client.database._pool is not None
    assert client.database._pool is None


def test_an_app_without_the_lifespan_says_what_is_missing() -> None:
    app = FastAPI()

    @app.get("/agents")
    async def agents(tasks: Tasks) -> int:
        return len(await tasks.agents())

    with TestClient(app) as http, pytest.raises(RuntimeError, match=r"lifespan=lifespan\(\)"):
        http.get("/agents")


def test_a_submit_within_a_session_takes_no_other_connection(settings: Settings) -> None:
    submit = Submit(AsyncAgentTasks(AgentTasks(settings)), session=object())
    with pytest.raises(InvalidInput, match="leave connection= out"):
        asyncio.run(submit("desk-answer", connection=object()))


def test_the_app_of_the_document_does_what_it_says(
    processes: Processes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = module_of(PAGE, tmp_path, monkeypatch)
    with TestClient(module.app) as http:
        made = http.post("/orders", json={"item": "lamp"}).json()
        place = f"/orders/{made['order']}"
        eventually(lambda: http.get(place).json()["status"] == "waiting")
        assert http.post(f"{place}/approval").json() == {"delivered": True}
        eventually(lambda: http.get(place).json()["result"] == "lamp bought")
        assert "event: finished" in http.get(f"{place}/events").text
        assert http.get("/orders/77").status_code == 404
