"""All that is read of the tables, by callers, the console and the command line."""

import os
from datetime import timedelta
from typing import Any

import pytest
from typer.testing import CliRunner

from agent_tasks import AgentTasks
from agent_tasks.cli.application import app
from agent_tasks.errors import InvalidInput
from agent_tasks.store.queries import calls, catalog, console, doors, lifetime, living, read, recording
from agent_tasks.store.queries import sessions as session_rows
from agent_tasks.store.queries.children import sensitive_child
from agent_tasks.store.session import working
from agent_tasks.transitions.sign_out import end_session
from tests.database import claimed, submitted
from tests.database.children import spawn
from tests.database.everything.who import ANA


def use_reads(client: AgentTasks) -> None:
    with client.database.connection() as connection, connection.transaction():
        code = {"echo.echo": {"value": {"integer"}}}
        assert list(living.states(connection, code, ["echo.echo"]))
        list(living.undos(connection, code))
        list(living.signals(connection, ["echo.echo"], []))
        living.schedules(connection)
        recording.recording(connection, submitted(client))
    root = claimed(client, submitted(client))
    children = spawn(client, root, 2)
    with client.database.connection() as connection:
        sensitive_child(connection, root.id)
    task = client.get(root.id)
    task.children()
    task.page_of_children(1)
    task.calls(1)
    with pytest.raises(InvalidInput):
        task.page_of_events(1_000)
    task.tree()
    client.get(children[0]).tree(root=True)
    task.traceback()
    list(task.events())
    for status in ("pending", "running", "waiting", "completed", "failed", None):
        client.living(status=status, limit=10)  # type: ignore[arg-type]
    client.living(agent="echo", tenant="acme", subject="ana", kind="signal", identity=ANA, limit=10)
    client.search(status="pending", agent="echo", identity=ANA)
    client.search(created_after=timedelta(1), metadata={"none": 1}, text="failed")
    client.search(ended_after=timedelta(1), agent="echo")
    client.spend(["agent", "model", "day"], since=timedelta(1), tenant="acme", identity=ANA)
    client.agents()
    client.audit(identity=ANA)
    with client.database.connection() as connection:
        read.find_many(connection, children)
        calls.costs(connection, [root.id])
        read.kept(connection, root.id)
        read.children_by_status(connection, root.id)
        read.recorded_calls(connection, root.id, 0)
        read.repetition(connection, root.id, 1)
        read.tree_repetition(connection, root.id)
        read.workers(connection, seconds=60)
        read.serving(connection, [("echo", "echo", "agents")], lease_seconds=60)
        read.steps_ahead(connection)
        read.seconds_since_sweep(connection, "orphans")
        read.place(connection)
        read.transaction_status(connection, read.transaction(connection)["id"])
        working(connection, [connection.info.backend_pid])
        catalog.registered_agent(connection, "echo")
        catalog.registered_names(connection)
        catalog.answers(connection)
        doors.pace(connection, "echo")
        lifetime.lifetime(connection, root.id)
        doors.session_queue(connection, "s", "echo", ANA)
        doors.open_tasks(connection, "acme", 100)
        catalog.note_keys(connection, "orphans", ["k"])
        catalog.watch_keys(connection, "orphans")


def use_console(client: AgentTasks) -> None:
    one = submitted(client)
    with client.database.connection() as connection:
        assert console.now(connection)["snapshot"]
        end_session(connection, "s", 1.0)
        assert console.session(connection, "s")["ended"]
        assert console.payloads(connection, one) is not None
        assert console.sensitive(connection, [one]) == set()
        assert console.checkpoints(connection, one, 100) == []
        assert console.states(connection, one, [0, 1]) == {}
        assert console.signals(connection, one, 50) == []
        assert [event["seq"] for event in console.latest_events(connection, one, 1)] == [2]
        assert console.given(connection, one, 0) is not None
        assert console.latest_calls(connection, one, 9) == []
        assert console.arguments(connection, [one], 9)[one]["state"] is None
        for identity in (None, ANA):
            console.usual(connection, ["echo"], identity)
            console.step_times(connection, ["echo"], identity)
        assert session_rows.totals(connection, "nobody's", "acme", ANA) == []


def use_command_line(client: AgentTasks) -> None:
    one = str(submitted(client))
    commands: list[list[str]] = [
        ["ps"], ["ps", "--status", "completed"], ["status", one], ["status", one, "--traceback"], ["status", one[:13]],
        ["tree", one], ["events", one], ["logs", one], ["schedules"],
        ["audit"], ["doctor"], ["doctor", "--sweeps"], ["keys", "list"],
        ["doctor", "--deliverer"],
        ["cancel", one], ["resume", one], ["ls", "--metadata", "none=1"], ["spend"],
        ["pause", "--queue", "none"], ["pauses", "--ended"], ["unpause", "--queue", "none"],
    ]  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AGENT_TASKS_")]:
            patch.delenv(name)
        patch.setenv("AGENT_TASKS_DATABASE_URL", client.settings.database_url)
        patch.setenv("AGENT_TASKS_REDIS_URL", client.settings.redis_url)
        for command in commands:
            found: Any = CliRunner().invoke(app, command, prog_name="agent-tasks")
            assert found.exit_code in (0, 1), (command, found.output, found.exception)
