"""Exported tasks: replayed in this process, without servers, with their calls answered by what was recorded."""

import dataclasses
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from agent_tasks import ContextLost, InvalidInput, TaskHandle, UpstreamUnavailable
from agent_tasks.authoring.agent import find_agent
from agent_tasks.cli.application import app
from agent_tasks.testing import Calls, Kit, ReplayDiffers, UnexpectedCall, replay
from tests.documents import ROOT
from tests.testing import agents_replayed
from tests.testing.agents_replayed import EFFECTS, effect, failing


@pytest.fixture
def effects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file with the effects that agents had, a line for each."""
    path = tmp_path / "effects"
    path.touch()
    monkeypatch.setenv(EFFECTS, str(path))
    return path


@pytest.fixture
def export(agent_tasks: Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    monkeypatch.setenv("AGENT_TASKS_DATABASE_URL", agent_tasks.client.settings.database_url)
    monkeypatch.setenv("AGENT_TASKS_BROKER_URL", "memory://")

    def exported(task: TaskHandle, *options: str) -> Path:
        done = CliRunner().invoke(app, ["export", str(task.id), *options])
        assert done.exit_code == 0, done.output
        path = tmp_path / "task.json"
        path.write_text(done.stdout)
        return path

    return exported


def ordered(kit: Kit) -> TaskHandle:
    """An order that has come to its last wait."""
    kit.calls.allow()
    task = kit.submit("replayed-order", {"item": "lamp"})
    kit.run_until_idle()
    task.signal("paid", 1)
    kit.clock.advance(seconds=120)
    assert task.snapshot().waiting_for is not None
    return task


def rewritten(monkeypatch: pytest.MonkeyPatch, agent: str, step: str, function: Any) -> None:
    """Have the agent's step be this function: another release of it."""
    steps = find_agent(agent).steps
    monkeypatch.setattr(agents_replayed, step, function)
    monkeypatch.setitem(steps, step, dataclasses.replace(steps[step], function=function))


def test_a_task_is_replayed_to_its_end_with_all_its_calls_answered(
    agent_tasks: Kit, export: Callable[..., Path], effects: Path
) -> None:
    task = ordered(agent_tasks)
    task.signal("answer", "yes")
    assert task.result()[-3:] == ["done: part 3", "yes", 120]
    had = effects.read_text()
    replayed = replay(export(task))
    assert replayed.path == ("begin", "split", "join", "ask")
    assert replayed.result == task.result()
    assert effects.read_text() == had, "a call was made again"


def test_a_task_that_waits_is_replayed_to_where_it_waits(
    agent_tasks: Kit, export: Callable[..., Path], effects: Path
) -> None:
    replayed = replay(export(ordered(agent_tasks)))
    assert (replayed.path[-1], replayed.waits_for, replayed.result) == ("ask", ("answer",), None)


def test_a_task_of_one_deployment_is_replayed_in_a_process_that_has_none(
    agent_tasks: Kit, export: Callable[..., Path], effects: Path
) -> None:
    task = ordered(agent_tasks)
    task.signal("answer", "yes")
    result, had = task.result(), effects.read_text()
    code = "from agent_tasks.testing import replay; import json, sys; print(json.dumps(replay(sys.argv[1]).result))"
    environment = {"AGENT_TASKS_AGENTS": agents_replayed.__name__, EFFECTS: str(effects), "PATH": "/usr/bin:/bin"}
    ran = subprocess.run(
        [sys.executable, "-c", code, str(export(task))],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == result
    assert effects.read_text() == had


def failed(kit: Kit) -> TaskHandle:
    kit.calls.allow()
    task = kit.submit("replayed-failing", {"item": "lamp"})
    kit.clock.advance(seconds=60)
    assert task.snapshot().status == "failed"
    return task


def test_a_failed_task_raises_again_what_it_failed_with(
    agent_tasks: Kit, export: Callable[..., Path], effects: Path
) -> None:
    path = export(failed(agent_tasks))
    had = effects.read_text()
    with pytest.raises(UpstreamUnavailable, match="the bank is closed") as raised:
        replay(path)
    assert any(entry.name == "fails" for entry in raised.traceback), "a debugger would not stand in the step"
    assert effects.read_text() == had


def test_a_step_that_was_mended_goes_on_where_it_had_failed(
    agent_tasks: Kit, export: Callable[..., Path], effects: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mended(ctx: Any, item: str) -> str:
        first = ctx.call(effect, f"before {item}")
        try:
            return str(ctx.call(failing, item))
        except UpstreamUnavailable:
            return f"{first}, and {ctx.call(effect, 'later')}"

    path = export(failed(agent_tasks))
    rewritten(monkeypatch, "replayed-failing", "fails", mended)
    had = effects.read_text()
    with pytest.raises(UnexpectedCall, match=r"effect, which is neither stubbed nor allowed.*not in the recording"):
        replay(path)
    calls = Calls()
    calls.stub(effect, returns="another day")
    assert replay(path, calls=calls).result == "done: before lamp, and another day"
    assert effects.read_text() == had


def test_code_that_goes_another_way_is_found(
    agent_tasks: Kit, export: Callable[..., Path], effects: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = ordered(agent_tasks)
    path = export(task)

    def other_state(ctx: Any, children: Any) -> Any:
        return agents_replayed.Next(agents_replayed.ask, parts=[], said=ctx.call(effect, "join"))

    with monkeypatch.context() as patch:
        rewritten(patch, "replayed-order", "join", other_state)
        with pytest.raises(ReplayDiffers, match=r"step join \(2\) goes on with ask and .*; when it was recorded, it"):
            replay(path)

    def other_call(ctx: Any, children: Any) -> Any:
        return agents_replayed.Next(agents_replayed.ask, parts=[], said=ctx.call(effect, "rejoin"))

    rewritten(monkeypatch, "replayed-order", "join", other_call)
    with pytest.raises(ContextLost, match="goes another way than before"):
        replay(path)


@pytest.mark.parametrize("at", ["join", 2])
def test_a_replay_stops_right_before_the_step_that_is_named(
    agent_tasks: Kit, export: Callable[..., Path], effects: Path, monkeypatch: pytest.MonkeyPatch, at: str | int
) -> None:
    path = export(ordered(agent_tasks))
    stops: list[Any] = []
    monkeypatch.setattr(sys, "breakpointhook", lambda: stops.append(sys._getframe(1).f_locals["kwargs"]))
    replay(path, stop_at=at)
    (arguments,) = stops
    assert [child.result for child in arguments["children"]] == ["done: part 1", "done: part 2"]


def test_what_is_no_exported_task_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "task.json"
    with pytest.raises(InvalidInput, match="agent-tasks export ID"):
        replay(path)
    for text in ("[", "[]", "{}"):
        path.write_text(text)
        with pytest.raises(InvalidInput, match="agent-tasks export ID"):
            replay(path)
    path.write_text('{"task": {}, "format": 99, "agent_tasks": "9.9"}')
    with pytest.raises(InvalidInput, match=r"agent-tasks 9\.9, in another format"):
        replay(path)


def test_a_task_of_a_sensitive_agent_is_exported_only_where_that_is_said(
    agent_tasks: Kit, export: Callable[..., Path], effects: Path
) -> None:
    agent_tasks.calls.allow()
    task = agent_tasks.submit("replayed-secret", {"item": "lamp"})
    task.wait()
    refused = CliRunner().invoke(app, ["export", str(task.id)])
    assert (refused.exit_code, "--sensitive" in refused.stderr, refused.stdout) == (2, True, "")
    assert replay(export(task, "--sensitive")).result == "done: lamp"
    parent = agent_tasks.submit("replayed-secretive", {"item": "lamp"})
    assert parent.result() == ["done: lamp"]
    refused = CliRunner().invoke(app, ["export", str(parent.id)])
    assert (refused.exit_code, "replayed-secret is sensitive" in refused.stderr, refused.stdout) == (2, True, "")
    assert replay(export(parent, "--sensitive")).result == ["done: lamp"]


def test_a_task_that_has_not_begun_has_nothing_to_replay(
    agent_tasks: Kit, export: Callable[..., Path], effects: Path
) -> None:
    with pytest.raises(InvalidInput, match="begun no step yet"):
        replay(export(agent_tasks.submit("replayed-secret", {"item": "lamp"}), "--sensitive"))
