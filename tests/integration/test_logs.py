"""The log of a worker: JSON that names tasks, and the newest records of each kept with it."""

import json

from typer.testing import CliRunner

from agent_tasks import AgentTasks
from agent_tasks.cli.application import app
from tests.eventually import eventually
from tests.processes import Processes


def test_what_steps_log_names_their_task_in_json_and_the_newest_of_it_is_kept(
    processes: Processes, client: AgentTasks
) -> None:
    worker = processes.worker(agents=("tests.agents_logging",), log_format="json", keep_logs=4)
    task, other = client.submit_many("talks", [{"lines": 9}, {"lines": 1}])
    secret = client.submit("whispers")
    traceparent = task.result(timeout=30)
    other.result(timeout=30)
    secret.result(timeout=30)

    said = [json.loads(line) for line in worker.output.splitlines() if line.startswith("{")]
    lines = [each for each in said if each.get("task") == str(task.id) and each["logger"] == "acme.drafts"]
    assert [each["event"] for each in lines][-3:] == ["line 8", "within a call", "and a traceback"]
    assert {(each["agent"], each["step"], each["run"]) for each in lines} == {("talks", "talks", 1)}
    assert {each["trace_id"] for each in lines} == {traceparent.split("-")[1]}

    kept = eventually(lambda: len(found := task.logs()) == 4 and "traceback" in found[-1].message and found)
    assert [line.message.splitlines()[0] for line in kept] == ["line 7", "line 8", "within a call", "and a traceback"]
    assert kept[-1].message.endswith("ValueError: caught")
    assert (kept[-1].level, kept[-1].logger, kept[-1].step, kept[-1].run) == ("error", "acme.drafts", "talks", 1)
    assert [line.seq for line in task.logs(after=kept[1].seq)] == [kept[2].seq, kept[3].seq]
    assert len(eventually(lambda: len(found := other.logs()) == 3 and found)) == 3
    assert secret.logs() == []

    environment = {name: value for name, value in processes.environment().items() if name.startswith("AGENT_TASKS_")}
    shown = CliRunner().invoke(app, ["logs", str(task.id), "--json"], env=environment)
    assert [json.loads(line)["seq"] for line in shown.stdout.splitlines()] == [line.seq for line in kept]
    nothing = CliRunner().invoke(app, ["logs", str(secret.id)], env=environment)
    assert "Nothing is kept of it. AGENT_TASKS_KEEP_LOGS" in nothing.output
