"""The receivers and the commands of docs/webhooks.md, run as they stand there."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

import httpx2
import pytest

from agent_tasks import AgentTasks, Identity
from agent_tasks.webhooks.schedule import GAPS
from tests.documents import ROOT, blocks
from tests.eventually import eventually
from tests.gateway import EVERYTHING
from tests.integration.test_metrics import free_port
from tests.processes import Processes, Running
from tests.webhooks.delivering import OLD_SECRET, SECRET, delivering, ended_well, endpoint, told
from tests.webhooks.receiver import receiving

PAGE = "docs/webhooks.md"


def receiver_of(language: str, folder: Path, processes: Processes, secret: str) -> tuple[Running, str]:
    """The page's receiver in a language, as a process, and its URL."""
    code = next(block for block in blocks(PAGE, language) if "WEBHOOK_SECRET" in block)
    file = folder / {"python": "receiver.py", "js": "receiver.mjs"}[language]
    file.write_text(code, encoding="utf-8")
    port = free_port()
    environment = {**os.environ, "WEBHOOK_SECRET": secret, "PORT": str(port)}
    program = {"python": sys.executable, "js": "node"}[language]
    running = processes.start(language, [program, str(file)], environment)
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        assert running.is_alive, running.output
        try:
            return httpx2.post(url, content=b"{}").status_code == 400
        except httpx2.TransportError:
            return False

    eventually(answers)
    return running, url


@pytest.mark.parametrize("language", ["python", "js"])
def test_the_receiver_of_the_page_takes_what_is_sent_and_nothing_else(
    language: str, client: AgentTasks, processes: Processes, tmp_path: Path
) -> None:
    running, url = receiver_of(language, tmp_path, processes, SECRET)
    with receiving() as recorder, delivering(client):
        endpoint(client, url)
        endpoint(client, recorder.url)
        task_id = told(client, 1)
        ended_well(client)
        eventually(lambda: len(recorder.received) == 2)
        eventually(lambda: running.output.count(str(task_id)) == 2)
    first = recorder.received[0]
    head = {name: value for name, value in first.headers.items() if name.startswith("webhook-")}
    assert f"{head['webhook-id']} task.submitted {task_id}" in running.output

    def answer(body: bytes = first.body, **changes: str) -> int:
        given = {**head, **{name.replace("_", "-"): value for name, value in changes.items()}}
        return httpx2.post(url, content=body, headers=given).status_code

    signature = head["webhook-signature"]
    assert answer() == 204
    assert running.output.count(str(task_id)) == 2, "what came before is not done again"
    assert answer(webhook_signature=f"v1,{'A' * 43}= v1a,x {signature}") == 204
    for refused in (
        answer(first.body + b" "), answer(webhook_id="evt_1"), answer(webhook_timestamp="1600000000"),
        answer(webhook_timestamp="soon"), answer(webhook_signature="v1"), answer(webhook_signature="v1,%%%"),
        answer(webhook_signature=signature.replace("v1,", "v2,")), answer(webhook_signature=f"v1,{'A' * 43}="),
    ):  # fmt: skip
        assert refused == 400


@pytest.mark.parametrize("language", ["python", "js"])
def test_while_a_secret_is_replaced_a_receiver_with_either_of_both_takes_what_is_sent(
    language: str, client: AgentTasks, processes: Processes, tmp_path: Path
) -> None:
    with receiving() as recorder, delivering(client):
        endpoint(client, recorder.url, name="mine", secret=SECRET)
        new = client.webhooks.rotate("mine").secret
        assert new is not None
        told(client)
        ended_well(client)
    (sent,) = recorder.received
    head = {name: value for name, value in sent.headers.items() if name.startswith("webhook-")}
    for secret, status in ((SECRET, 204), (new, 204), (OLD_SECRET, 400)):
        _, url = receiver_of(language, tmp_path, processes, secret)
        assert httpx2.post(url, content=sent.body, headers=head).status_code == status


@pytest.mark.parametrize("auth", ["on", "off"])
def test_the_commands_of_the_page_do_what_it_says(
    auth: Literal["on", "off"], client: AgentTasks, processes: Processes, tmp_path: Path
) -> None:
    _, url = processes.gateway(gateway_auth=auth)
    if auth == "on":
        key = client.create_key(tenant="acme", subject="ana", scopes=[*EVERYTHING, "tasks:all"]).key
        (tmp_path / ".curlrc").write_text(f'header = "Authorization: Bearer {key}"\n')

    def run(block: str) -> list[Any]:
        """What the commands of a block print: JSON each."""
        environment = {**os.environ, "URL": url, "CURL_HOME": str(tmp_path)}
        ran = subprocess.run(["bash", "-euo", "pipefail", "-c", block], env=environment, capture_output=True, text=True)
        assert ran.returncode == 0, ran.stderr
        found: list[Any] = []
        text = ran.stdout
        while text:
            value, end = json.JSONDecoder().raw_decode(text)
            found.append(value)
            text = text[end:]
        return found

    registering, listing, replaying, feeding = blocks(PAGE, "bash")
    made, listed, ping = run(registering)
    assert (made["name"], made["types"], made["secret"][:6]) == ("billing", ["task.completed", "task.failed"], "whsec_")
    assert listed == {"webhooks": [{**made, "secret": None}]}
    assert (ping["type"], ping["webhook"]) == ("webhook.ping", "billing")
    assert run(listing) == [{"deliveries": [], "next": None}]
    assert run(replaying) == [{"replayed": 0}]
    identity = Identity(subject="ana", tenant="acme") if auth == "on" else None
    task = client.submit("echo", {"value": 1}, identity=identity)
    (page,) = run(feeding)
    assert [event["data"]["task_id"] for event in page["events"]] == [str(task.id)]


def test_the_pauses_of_the_page_are_those_of_the_deliverer() -> None:
    text = " ".join((ROOT / PAGE).read_text(encoding="utf-8").split())
    said = re.search(r"after 5 s, 5 min, 30 min, ([\d, and]+) h", text)
    assert said is not None
    hours = [int(number) for number in re.findall(r"\d+", said[1])]
    assert (5.0, 300.0, 1800.0, *(hour * 3600.0 for hour in hours)) == GAPS
