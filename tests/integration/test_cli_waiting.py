"""The commands for tasks that wait and for their trees: signal, tree, ps, schedule, resume --from-step."""

import itertools
import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from typer.testing import CliRunner, Result

from agent_tasks import Budget, Identity, InvalidInput, TaskHandle, TaskStatus
from agent_tasks.cli.application import app
from tests.conftest import Fleet
from tests.eventually import eventually

pytestmark = pytest.mark.usefixtures("in_force")

CHILDREN = [
    {"agent": "echo", "input": {"value": 1}},
    {"agent": "approval", "input": {}},
    {"agent": "foreman", "input": {"family": [{"agent": "sleeper", "input": {"seconds": 1000}}]}},
]
BUDGET = Budget(seconds=600, tokens=9000, usd=3)
WHO = ["--as", "ana", "--tenant", "acme"]


@pytest.fixture
def in_force(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fleet's settings, in the environment."""
    for name, value in fleet.processes.environment().items():
        if name.startswith("AGENT_TASKS_"):
            monkeypatch.setenv(name, value)


def run(*arguments: object, input: str | None = None) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], input=input, prog_name="agent-tasks")


def output(*arguments: object) -> str:
    result = run(*arguments)
    assert result.exit_code == 0, result.stderr
    return result.stdout


def as_json(*arguments: object) -> Any:
    return json.loads(output(*arguments, "--json"))


def waiting(fleet: Fleet, agent: str, input: Any = None, *, kind: str = "signal", **options: Any) -> TaskHandle:
    task = fleet.client.submit(agent, input, **options)
    wait_until(task, kind)
    return task


def wait_until(task: TaskHandle, kind: str) -> None:
    eventually(lambda: (found := task.stored().waiting_for) is not None and found.kind == kind)


@pytest.fixture(scope="module")
def planned(fleet: Fleet) -> TaskHandle:
    """A tree of five: one has completed, the others wait."""
    ana = Identity(subject="ana", tenant="acme")
    task = fleet.client.submit("foreman", {"family": CHILDREN, "reserve": 5}, identity=ana, budget=BUDGET)
    eventually(lambda: sorted(waits(task)) == ["children", "children", "signal", "timer"])
    return task


def waits(task: TaskHandle) -> list[str]:
    found = [node for node in nodes(task.tree().model_dump(mode="json")) if node["waiting_for"]]
    return [node["waiting_for"]["kind"] for node in found]


def nodes(tree: dict[str, Any]) -> list[dict[str, Any]]:
    return [tree["snapshot"], *itertools.chain.from_iterable(nodes(child) for child in tree["children"])]


def test_a_signal_wakes_the_task_and_tells_it_who_sent_it(fleet: Fleet) -> None:
    task = waiting(fleet, "approval", identity=Identity(subject="ana", tenant="acme"))
    assert output("signal", task.id, "approval", '{"ok": true}', *WHO).startswith(str(task.id))
    assert task.result(timeout=30) == {"draft": "a draft", "ok": True, "by": "ana"}
    assert "approval by ana of acme" in output("events", task.id)


def test_a_signal_for_which_a_task_does_not_wait_yet_is_kept(fleet: Fleet, tmp_path: Path) -> None:
    task = waiting(fleet, "several", {"every": True})
    assert "first, second" in output("signal", task.id, "second", 2)
    (tmp_path / "payload.json").write_text("1")
    assert as_json("signal", task.id, "first", f"@{tmp_path / 'payload.json'}") == {
        "kept": True,
        "delivered": True,
        "waiting_for": [],
        "unserved": None,
    }
    assert task.result(timeout=30) == {"first": 1, "second": 2}
    pending = fleet.client.submit("approval", queue="nowhere")
    assert "keeps the signal" in output("signal", pending.id, "approval", '{"ok": true}')
    pending.cancel()


def test_a_repeated_signal_id_is_told_and_changes_nothing(fleet: Fleet) -> None:
    task = waiting(fleet, "several", {"every": True})
    send = ("signal", task.id, "first", "1", "--signal-id", "one")
    output(*send)
    assert "before" in output(*send)
    assert as_json(*send)["kept"] is False
    task.cancel()


def test_a_signal_that_cannot_be_taken_is_refused_and_the_task_keeps_waiting(fleet: Fleet) -> None:
    task = waiting(fleet, "approval", identity=Identity(subject="ana", tenant="acme"))
    refused = run("signal", task.id, "approval", '{"ok": "perhaps"}')
    assert (refused.exit_code, "ok" in refused.stderr) == (2, True)
    assert run("signal", task.id, "approval", "{nope").exit_code == 2
    assert run("signal", task.id, "approval", "-", input='{"ok": true}').exit_code == 0
    task.wait(timeout=30)
    ended = run("signal", task.id, "approval", '{"ok": true}')
    assert (ended.exit_code, "has ended as completed" in ended.stderr) == (2, True)


def test_the_tree_is_drawn_in_80_columns_with_what_each_task_waits_for(planned: TaskHandle) -> None:
    drawn = output("tree", planned.id)
    lines = drawn.splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert lines[0].startswith("foreman.gather  waiting")
    assert "for 3 children, at most" in lines[0]
    heads = [line for line in lines if line.lstrip("│ ").startswith(("├", "└"))]
    assert "echo.echo  completed" in heads[0]
    assert '#0 {"value": 1}' in drawn
    assert "for signal approval" in heads[1]
    assert "for 1 child" in heads[2]
    assert "for a timer, due in 17 min" in heads[3]
    assert all(str(node["id"]) in drawn for node in nodes(planned.tree().model_dump(mode="json")))
    assert "0 of 9,000 tokens · 0.00 of 3.00 usd" in drawn
    assert "reserved 6,000 tokens, 2.00 usd" in drawn


def test_the_tree_is_nested_in_json_from_any_task_and_from_its_root(planned: TaskHandle) -> None:
    tree = as_json("tree", planned.id)
    assert [child["snapshot"]["agent"] for child in tree["children"]] == ["echo", "approval", "foreman"]
    below = tree["children"][2]
    assert [child["snapshot"]["agent"] for child in below["children"]] == ["sleeper"]
    inner = below["snapshot"]["id"]
    assert [node["id"] for node in nodes(as_json("tree", inner))] == [node["id"] for node in nodes(below)]
    assert as_json("tree", inner, "--root")["snapshot"]["id"] == str(planned.id)


def test_of_many_children_those_that_have_completed_are_counted_and_not_drawn(fleet: Fleet) -> None:
    children = [{"agent": "echo", "input": {"value": n}} for n in range(6)]
    task = fleet.client.submit("foreman", {"family": [*children, {"agent": "sleeper", "input": {"seconds": 1000}}]})
    eventually(lambda: [child.stored().status for child in task.children()].count(TaskStatus.COMPLETED) == 6)
    drawn = output("tree", task.id, "--limit", 2)
    assert "sleeper.awake  waiting" in drawn
    assert "and 5 more: 5 completed" in drawn
    task.cancel()


def test_only_who_may_see_the_task_sees_its_tree(planned: TaskHandle) -> None:
    assert run("tree", planned.id, "--as", "bob", "--tenant", "acme").exit_code == 4
    assert run("tree", planned.id, *WHO, "--root").exit_code == 0
    assert run("tree", uuid4()).exit_code == 4


def test_status_says_what_the_task_waits_for_and_what_its_children_hold(planned: TaskHandle) -> None:
    shown = dict(line.split("  ", 1) for line in output("status", planned.id).splitlines())
    assert "for 3 children" in shown["waits"]
    assert shown["children"].strip() == "3: 2 waiting, 1 completed"
    assert shown["reserved"].strip() == "6,000 tokens · 2.00 usd, for its children and the calls under way"


def test_ps_says_who_waits_for_what_and_for_how_long_in_80_columns(planned: TaskHandle) -> None:
    lines = output("ps", "--tenant", "acme").splitlines()
    assert all(len(line) <= 80 for line in lines)
    text = " ".join("\n".join(lines).split())
    assert "for 3 children · at most" in text
    assert "left 10 min, 3,000 tokens, 1.00 usd" in text
    assert "reserved 6,000 tokens, 2.00 usd" in text
    assert f"in the tree of {planned.id}" in text
    assert "for a timer · due in 17 min" in text


def test_ps_filters_by_kind_agent_status_and_person(planned: TaskHandle) -> None:
    def agents(*arguments: str) -> list[str]:
        return sorted(task["agent"] for task in as_json("ps", "--tenant", "acme", *arguments))

    assert agents() == ["approval", "foreman", "foreman", "sleeper"]
    assert agents("--kind", "children") == agents("--agent", "foreman") == ["foreman", "foreman"]
    assert agents("--kind", "timer") == ["sleeper"]
    assert agents("--kind", "retry") == agents("--subject", "bob") == agents("--status", "running") == []
    assert "echo" in agents("--status", "completed")
    assert run("ps", "--kind", "nothing").exit_code == 2


def test_ps_as_somebody_shows_what_they_may_see(planned: TaskHandle) -> None:
    assert len(as_json("ps", *WHO)) == 4
    assert as_json("ps", "--as", "bob", "--tenant", "acme") == []
    assert len(as_json("ps", "--as", "bob", "--tenant", "acme", "--scope", "tasks:all")) == 4
    assert as_json("ps", "--as", "ana") == []
    assert run("ps", "--scope", "tasks:all").exit_code == 2


def test_whoever_waits_longest_comes_first_whenever_it_was_submitted(fleet: Fleet) -> None:
    first = waiting(fleet, "approval", {"timeout": 3600}, identity=Identity(subject="eve", tenant="order"))
    pending = fleet.client.submit("echo", queue="nowhere", identity=Identity(subject="eve", tenant="order"))
    again = fleet.client.submit("approval", queue="nowhere", identity=Identity(subject="eve", tenant="order"))
    with fleet.client.database.connection() as connection:
        connection.execute(
            "UPDATE agent_tasks.tasks SET pending_since = clock_timestamp() - interval '1 h' WHERE id = %s", [again.id]
        )
    living = fleet.client.living(tenant="order")
    assert [task.id for task in living] == [again.id, first.id, pending.id]
    assert [task.since for task in living] == sorted(task.since for task in living)
    assert living[1].waiting_for is not None
    assert living[1].since == living[1].waiting_for.since
    for task in (first, pending, again):
        task.cancel()


def test_living_shows_an_identity_what_its_handles_may_access(fleet: Fleet) -> None:
    owners = [Identity(subject=s, tenant=t) for s in ("ana", "bob") for t in ("", "one", "two")]
    tasks = [fleet.client.submit("echo", queue="hidden", identity=owner) for owner in [*owners, None]]
    viewers = [*owners, *(owner.model_copy(update={"scopes": ("tasks:all",)}) for owner in owners)]
    for viewer in viewers:
        seen = {task.id for task in fleet.client.living(identity=viewer, agent="echo", limit=1000)}
        allowed = {task.id for task in tasks if viewer.may_access(task.stored().identity)}
        assert seen & {task.id for task in tasks} == allowed
    for task in tasks:
        task.cancel()


@pytest.mark.parametrize("wrong", [{"kind": "luck"}, {"limit": 0}])
def test_living_refuses_what_cannot_be(fleet: Fleet, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        fleet.client.living(**wrong)


def test_ps_finds_the_step_that_waits_for_another_try(fleet: Fleet, tmp_path: Path) -> None:
    task = fleet.client.submit("booking", {"folder": str(tmp_path), "failing_undo": True})
    (found,) = eventually(lambda: fleet.client.living(kind="retry"))
    assert found.id == task.id
    assert found.waiting_for is not None
    assert found.since == found.waiting_for.since


def test_a_schedule_is_made_listed_and_forgotten(fleet: Fleet) -> None:
    made = output(
        "schedule", "echo", '{"value": 3}', "--cron", "0 3 1 1 *", "--timezone", "Europe/Berlin", "--name", "yearly",
        "--subject", "ana", "--budget-tokens", "5",
    )  # fmt: skip
    assert made.startswith("yearly: echo by cron 0 3 1 1 * Europe/Berlin, next in")
    assert "03:00:00 CET" in made
    assert as_json("schedule", "echo", "--every", 3600)["every_seconds"] == 3600
    listed = output("schedules").splitlines()
    assert [line.split()[:2] for line in listed[1::2]] == [["echo", "echo"], ["yearly", "echo"]]
    assert all(len(line) <= 80 for line in listed)
    assert [each["name"] for each in as_json("schedules")] == ["echo", "yearly"]
    assert output("unschedule", "yearly").startswith("yearly")
    assert as_json("unschedule", "echo") == {"name": "echo", "removed": True}
    assert output("schedules") == "No schedules.\n"
    gone = run("unschedule", "yearly")
    assert (gone.exit_code, gone.stderr.count("\n")) == (4, 1)


def test_a_schedule_is_shown_to_and_forgotten_for_its_owner_only(fleet: Fleet) -> None:
    output("schedule", "echo", "--every", 3600, "--subject", "ana", "--tenant", "acme")
    assert as_json("schedules", "--as", "bob", "--tenant", "acme") == []
    assert [each["name"] for each in as_json("schedules", *WHO)] == ["echo"]
    for command in (["schedule", "echo", "--every", "60", "--subject", "bob"], ["unschedule", "echo", "--as", "bob"]):
        refused = run(*command, "--tenant", "acme")
        assert (refused.exit_code, refused.stderr.count("\n")) == (4, 1)
    assert as_json("unschedule", "echo", *WHO) == {"name": "echo", "removed": True}


def test_what_a_schedule_submits_has_its_options(fleet: Fleet) -> None:
    options = ["--subject", "ana", "--tenant", "timely", "--budget-tokens", "5", "--metadata", '{"a": 1}']
    output("schedule", "echo", '{"value": 3}', "--every", 1, *options)
    (task, *_) = eventually(lambda: fleet.client.living(tenant="timely", status=TaskStatus.COMPLETED))
    output("unschedule", "echo")
    assert (task.result, task.metadata, task.budget.limit.tokens) == (3, {"a": 1}, 5)


def test_a_schedule_that_cannot_be_is_refused() -> None:
    for wrong in (
        ["--cron", "61 * * * *"], ["--every", "0"], ["--every", "5", "--timezone", "Nowhere"], [],
        ["--every", "5", "--cron", "* * * * *"],
    ):  # fmt: skip
        result = run("schedule", "echo", *wrong)
        assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert run("schedule", "nobody", "--every", "5").exit_code == 2


def test_a_task_goes_on_from_a_named_step_also_when_it_has_completed(fleet: Fleet, tmp_path: Path) -> None:
    (tmp_path / "go").touch()
    task = fleet.client.submit("relay", {"folder": str(tmp_path)})
    task.wait(timeout=30)
    assert run("resume", task.id).exit_code == 2
    result = run("resume", task.id, "--from-step", 2, "--wait", "--timeout", 20)
    assert (result.exit_code, result.stdout.splitlines()[1]) == (0, "done")
    assert f"from task {task.id} at last (2)" in output("events", result.stdout.splitlines()[0])
    missing = run("resume", task.id, "--from-step", 9)
    assert (missing.exit_code, "no such checkpoint" in missing.stderr) == (2, True)


def test_the_history_of_a_tree_reads_as_sentences(fleet: Fleet, planned: TaskHandle) -> None:
    history = output("events", planned.id)
    assert "3 children: approval, echo, foreman" in history
    assert "for its children" in history
    assert "{" not in history
    joined = fleet.client.submit("foreman", {"family": [CHILDREN[0]]})
    joined.wait(timeout=30)
    assert "all children have ended" in output("events", joined.id)


def test_cancelling_a_task_with_steps_to_undo_says_that_these_are_undone_first(fleet: Fleet, tmp_path: Path) -> None:
    task = fleet.client.submit("booking", {"folder": str(tmp_path), "fail": False})
    eventually(lambda: task.stored().step == "settle")
    said = output("cancel", task.id)
    assert said.split()[0] == str(task.id)
    assert "undone" in said or "cancelled" in said  # as soon as that
    assert task.wait(timeout=30).status == "cancelled"


def test_watch_prints_a_wait_once_however_long_it_lasts(fleet: Fleet) -> None:
    task = waiting(fleet, "approval")
    result = run("watch", task.id, "--timeout", 1.5)
    (line,) = result.stdout.splitlines()
    assert line.startswith("waiting    approval.decide  for signal approval")
    assert result.exit_code == 124
    task.cancel()
