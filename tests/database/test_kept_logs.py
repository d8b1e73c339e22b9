"""Log records that are kept with their tasks: how many, by which numbers they are paged, and how they are printed."""

from uuid import UUID

import pytest
from typer.testing import CliRunner

from agent_tasks import AgentTasks, Settings
from agent_tasks.cli.application import app
from agent_tasks.transitions.logs import NewLog, keep
from tests.database import query, submitted


def record(task: UUID, message: str) -> NewLog:
    return {
        "task_id": str(task), "at": "2026-11-28T09:00:00+00:00", "level": "info", "logger": "acme", "message": message,
        "step": "echo", "step_number": 0, "run": 1,
    }  # fmt: skip


def kept(client: AgentTasks, task: UUID, *messages: str, most: int = 100) -> None:
    with client.database.connection() as connection:
        keep(connection, [record(task, message) for message in messages], most=most)


def messages(client: AgentTasks, task: UUID) -> list[str]:
    return [line.message for line in client.get(task).logs()]


def test_of_each_task_the_newest_so_many_are_kept(client: AgentTasks) -> None:
    first, second = submitted(client), submitted(client)
    kept(client, first, "one", "two", "three", most=2)
    kept(client, second, "else", most=2)
    assert (messages(client, first), messages(client, second)) == (["two", "three"], ["else"])
    kept(client, first, "four", most=2)
    assert (messages(client, first), messages(client, second)) == (["three", "four"], ["else"])


def test_what_a_step_logs_whose_task_is_gone_is_dropped_and_the_rest_is_kept(client: AgentTasks) -> None:
    gone, there = submitted(client), submitted(client)
    client.get(gone).cancel()
    client.purge(gone)
    with client.database.connection() as connection:
        keep(connection, [record(gone, "late"), record(there, "kept")], most=9)
    assert messages(client, there) == ["kept"]
    assert query(client, "SELECT count(*) AS n FROM agent_tasks.logs") == [{"n": 1}]


def test_numbers_are_those_of_all_tasks_and_may_be_larger_than_any_task_has_records(client: AgentTasks) -> None:
    task = submitted(client)
    query(client, "ALTER TABLE agent_tasks.logs ALTER seq RESTART WITH 3000000000")
    kept(client, task, "one", "two")
    one, two = client.get(task).logs()
    assert one.seq == 3_000_000_000
    assert client.get(task).logs(after=one.seq) == [two]


def test_what_a_terminal_would_take_for_a_command_is_not_printed(
    client: AgentTasks, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENT_TASKS_DATABASE_URL", settings.database_url)
    monkeypatch.setenv("AGENT_TASKS_REDIS_URL", settings.redis_url)
    task = submitted(client)
    kept(client, task, "first \x1b]0;owned\x07\nsecond")
    client.get(task).cancel("it is \x1b[2Jodd")
    client.pause(queue="a\x1b[31mb")
    shown = CliRunner().invoke(app, ["logs", str(task)], color=True).stdout
    assert ("first" in shown, "second" in shown.splitlines()[1], "\x1b" in shown) == (True, True, False)
    for command in (["audit"], ["unpause", "--queue", "a\x1b[31mb"], ["pause", "--queue", "a\x1b[31mb"]):
        ended = CliRunner().invoke(app, command, color=True)
        assert (ended.exit_code, "\x1b" in ended.stdout) == (0, False), (command, ended.stdout)
