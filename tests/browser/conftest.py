"""A deployment with something of everything, a gateway without authentication, and a browser."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent_tasks import AgentTasks, AlertRule, Identity, Settings, TaskFilter
from tests.browser.console import SCRIPT, Console
from tests.conftest import fresh_deployment
from tests.eventually import eventually
from tests.gateway.browser import CHROMIUM, Browser
from tests.processes import Processes

AGENTS = ("tests.agents_console",)
EVE = Identity(subject=f"eve {SCRIPT}"[:200], tenant=f"evil {SCRIPT}"[:200])
ANA = Identity(subject="ana", tenant="acme")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed: apt-get install chromium")
    browser = Browser(tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def console(
    browser: Browser, server_urls: tuple[str, str], template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Console]:
    folder: Path = tmp_path_factory.mktemp("console")
    with fresh_deployment(server_urls, template) as found, Processes(found, folder) as processes:
        settings: Settings = found.model_copy(update={"keep_logs": 100})
        processes.fleet(agents=AGENTS, keep_logs=100)
        client = AgentTasks(settings)
        running, url = processes.gateway(agents=AGENTS, gateway_auth="off")
        console = Console(browser, client, processes, running, f"{url}/console")
        _fill(console)
        yield console
        client.close()


def _fill(console: Console) -> None:
    """One task of each kind, with markup in every field that callers, agents and tools fill."""
    client, tasks = console.client, console.tasks
    tasks["waiting"] = client.submit(
        "columnist", {"topic": f"tides {SCRIPT}", "markup": SCRIPT}, identity=EVE, session_id=f"session {SCRIPT}",
        metadata={SCRIPT: SCRIPT}, callback_url="https://receiver.example/?<script>",
    )  # fmt: skip
    tasks["failed"] = client.submit("faulty", {"markup": SCRIPT}, identity=ANA)
    tasks["children"] = client.submit("magazine", {"topics": ["a", SCRIPT]}, identity=ANA)
    tasks["sleeping"] = client.submit("hibernator", {"seconds": 90_000})
    tasks["secret"] = client.submit("secretkeeper", {"secret": "xyzzy"}, identity=ANA)
    client.submit("tallier", {"to": 1}, queue="nowhere", identity=EVE)
    client.put_alert(f"long waits {SCRIPT}", AlertRule("waiting", threshold=1))
    client.bulk("prioritise", TaskFilter(agent="tallier", metadata={SCRIPT: SCRIPT}), priority=3)
    client.pause(queue="slow", reason=f"the provider is down {SCRIPT}")
    client.schedule("tallier", {"to": 1}, name=f"hourly {SCRIPT}", every=3600)
    for name in ("failed", "children"):
        tasks[name].wait(30)
    for name in ("waiting", "sleeping", "secret"):
        eventually(lambda name=name: tasks[name].read().status == "waiting")
    eventually(lambda: client.alerts()[0].state == "firing", 40)
    client.submit_many("tallier", [{"to": 1} for _ in range(60)])
