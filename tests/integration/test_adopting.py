"""docs/adopting.md: its app runs as it stands there, and what is before and after comes to the same."""

import json
import os
import re
import sys
from pathlib import Path

import pytest

from agent_tasks import AgentTasks
from tests.documents import ROOT, blocks
from tests.eventually import eventually
from tests.processes import Processes

DOCUMENT = "docs/adopting.md"
MODULE = "shop"
PROGRAM = """
import json
import shop
from agent_tasks import get, submit

shop.put_schedules()
before = {
    "report": shop.report_before("tides"),
    "pages": shop.pages_before(["tides", "moon"]),
    "words": shop.words_before(["tides", "moon"]),
    "answer": shop.answer_before.delay("why"),
    "reminder": shop.remind_before("tea"),
    "research": shop.research_before.delay("tides"),
    "export": shop.export_before.delay(3),
}
after = {
    "report": submit("report", {"topic": "tides"}),
    "pages": submit("pages", {"topics": ["tides", "moon"]}),
    "words": submit("words", {"topics": ["tides", "moon"]}),
    "answer": submit("answer", {"prompt": "why"}),
    "reminder": submit("reminder", {"topic": "tea", "seconds": 0.2}),
    "research": submit("research", {"topic": "tides"}),
    "export": submit("export", {"rows": 3}),
}
print(submit("digest", {"topics": ["tides", "moon"]}).result(timeout=30))
print(shop.order_report("tides"))
sent = submit("sender", {"text": "hello"}).result(timeout=30)
print(shop.result_before(sent))
sleeping = submit("reminder", {"topic": "never", "seconds": 9000})
shop.stop(sleeping.id)
print(sleeping.snapshot().status)
print(json.dumps({name: result.get(timeout=30) for name, result in before.items()}))
print(json.dumps({name: shop.result(task.id) for name, task in after.items()}))
print(shop.result_before(before["report"].id))
"""


def test_its_app_runs_and_each_pattern_comes_to_what_it_came_to(
    client: AgentTasks, processes: Processes, tmp_path: Path
) -> None:
    code = [block for block in blocks(DOCUMENT, "python") if "django" not in block]
    (tmp_path / f"{MODULE}.py").write_text("\n".join(code))
    environment = processes.environment(agents=(MODULE,), sweep_seconds=1.0)
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(tmp_path)])
    environment["CELERY_BROKER_URL"] = environment["CELERY_RESULT_BACKEND"] = client.settings.redis_url
    del environment["AGENT_TASKS_REDIS_URL"]  # the broker's is taken
    arguments = ["worker", "-n", "shop@test", "-P", "threads", "-c", "4", "--without-mingle", "--loglevel", "INFO"]
    worker = processes.app(MODULE, arguments, environment)
    clock = ["beat", "-s", str(tmp_path / "beat"), "--loglevel", "INFO"]
    processes.app(MODULE, clock, environment)
    eventually(lambda: "shop@test ready" in worker.output)
    program = processes.start("program", [sys.executable, "-c", PROGRAM], environment)
    assert program.wait_for_exit() == 0, program.output
    *said, before, after, again = program.output.splitlines()
    digest = "[8, 'published: the gist of a page on tides a page on moon']"
    assert said == [digest, "the gist of a page on tides", "sent: hello", "cancelled"]
    assert json.loads(before) == json.loads(after)
    assert again == json.loads(before)["report"] == "published: the gist of a page on tides"


@pytest.mark.parametrize("code", blocks(DOCUMENT, "python"))
def test_each_of_its_lines_is_python(code: str) -> None:
    compile(code, DOCUMENT, "exec")


@pytest.mark.slow
def test_the_example_of_an_app_prints_what_its_readme_says_when_its_worker_is_killed(processes: Processes) -> None:
    (printed,) = re.findall(r"kill_a_worker\n(.*?)```", (ROOT / "examples" / "README.md").read_text(), re.DOTALL)
    environment = processes.environment(agents=())
    environment["CELERY_BROKER_URL"] = processes.settings.redis_url
    program = processes.start("program", [sys.executable, "-m", "examples.existing_app.kill_a_worker"], environment)
    assert program.wait_for_exit() == 0, program.output
    assert program.output == printed
