"""The command line without servers: its help, its errors, and how things read."""

import fcntl
import json
import os
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
import redis
from psycopg_pool import PoolTimeout
from typer.testing import CliRunner, Result

from agent_tasks import BudgetExhausted, InvalidInput, PermissionDenied, TaskNotFound, UpstreamUnavailable
from agent_tasks.cli.application import app
from agent_tasks.cli.demo.environment import only_for_models
from agent_tasks.cli.demo.story import repetition_lines
from agent_tasks.cli.options import identity_of
from agent_tasks.cli.problems import ended_badly, problem_of
from agent_tasks.cli.settings_in_force import masked, settings_in_force
from agent_tasks.cli.text import duration

CLOSED = "127.0.0.1:1"
COMMANDS = {
    "pause", "unpause", "pauses",
    "demo", "dev", "submit", "status", "watch", "events", "signal", "hook", "cancel", "resume", "tree", "ps",
    "schedule", "schedules", "unschedule", "migrate", "doctor", "keys",
}  # fmt: skip
PROCESSES = {"worker", "sweeper", "beat", "flower"}
TASK = "0198c2f4-0000-7000-8000-000000000000"


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As in a new shell: no setting, and no `agent-tasks dev` of this user's."""
    for name in [*os.environ]:
        if name.startswith(("AGENT_TASKS_", "CELERY_")) or name in ("DATABASE_URL", "REDIS_URL"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AGENT_TASKS_DATA_DIR", str(tmp_path))


@pytest.fixture
def closed_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENT_TASKS_DATABASE_URL", f"postgresql://ana:geheim@{CLOSED}/x")
    monkeypatch.setenv("AGENT_TASKS_REDIS_URL", f"redis://:geheim@{CLOSED}/0")


def run(*arguments: str, input: str | None = None) -> Result:
    return CliRunner().invoke(app, arguments, input=input, prog_name="agent-tasks")


def test_help_names_every_command_and_the_exit_codes() -> None:
    result = run("--help")
    assert result.exit_code == 0
    assert {name for name in COMMANDS | PROCESSES if f" {name} " in result.stdout} == COMMANDS | PROCESSES
    assert "124" in result.stdout


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_each_command_tells_the_exit_codes_in_its_help(command: str) -> None:
    assert "Exit codes" in run(command, "--help").stdout


def test_without_settings_the_error_says_what_to_set_or_start() -> None:
    result = run("ps")
    assert result.exit_code == 2
    assert result.stderr.splitlines() == [
        "error: AGENT_TASKS_DATABASE_URL is not set. Set it, or start everything on this machine with "
        "`agent-tasks dev`."
    ]


@pytest.mark.usefixtures("closed_ports")
@pytest.mark.parametrize("command", [["ps"], ["status", TASK], ["submit", "echo"], ["migrate"]])
def test_an_unreachable_postgres_is_told_in_one_line_and_exit_code_3(command: list[str]) -> None:
    result = run(*command)
    assert result.exit_code == 3
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ")
    assert "AGENT_TASKS_DATABASE_URL" in line
    assert "agent-tasks doctor" in line
    assert "geheim" not in line


@pytest.mark.usefixtures("closed_ports")
def test_with_json_an_error_is_json_on_stderr() -> None:
    result = run("ps", "--json")
    assert result.exit_code == 3
    assert result.stdout == ""
    error = json.loads(result.stderr)
    assert (error["type"], error["retryable"], error["suggested_action"]) == ("upstream_unavailable", True, "retry")


@pytest.mark.parametrize("arguments", [["submit"], ["ps", "--limit", "many"], ["ps", "--nonsense"]])
def test_with_json_a_wrong_usage_is_json_on_stderr_too(arguments: list[str]) -> None:
    result = run(*arguments, "--json")
    assert result.exit_code == 2
    assert json.loads(result.stderr)["type"] == "invalid_input"


@pytest.mark.usefixtures("closed_ports")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["submit", "echo", "{nope"], "input"),
        (["submit", "echo", "@/no/such/file"], "input"),
        (["submit", "echo", "--metadata", "[1]"], "metadata"),
        (["submit", "echo", "--budget-seconds", "0"], "Budget(seconds=)"),
        (["submit", "echo", "--budget-usd", "nan"], "Budget(usd=)"),
        (["submit", "echo", "--tenant", "acme"], "--subject SUBJECT"),
        (["status", TASK, "--scope", "read"], "--as SUBJECT"),
        (["ps", "--scope", "read"], "--as SUBJECT"),
        (["signal", TASK, "approval", "{nope"], "payload"),
        (["signal", TASK, "approval", "@/no/such/file"], "payload"),
        (["schedule", "echo"], "--every"),
        (["schedule", "echo", "--every", "5", "--cron", "* * * * *"], "--every"),
        (["schedule", "echo", "{nope", "--every", "5"], "input"),
        (["demo", "/", "--output", "report.md"], "--question"),
        (["demo", "--output", "/no/such/folder/report.md"], "--output"),
    ],
)
def test_invalid_input_is_refused_before_anything_is_reached(arguments: list[str], said: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert said in line


def test_input_is_read_from_stdin() -> None:
    assert "input" in run("submit", "echo", "-", input="{nope").stderr


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (TaskNotFound("gone"), 4),
        (PermissionDenied("not yours"), 4),
        (InvalidInput("wrong"), 2),
        (UpstreamUnavailable("away"), 2),
        (psycopg.OperationalError("away"), 3),
        (psycopg.errors.UndefinedTable("tasks"), 3),
        (PoolTimeout("away"), 3),
        (redis.ConnectionError("away"), 3),
        (TimeoutError("still running"), 124),
    ],
)
def test_the_exit_code_tells_what_went_wrong(error: Exception, code: int) -> None:
    problem = problem_of(error)
    assert problem is not None
    assert problem.code == code


@pytest.mark.parametrize("error", [KeyError("x"), ZeroDivisionError(), TimeoutError(110, "of the system")])
def test_a_bug_of_ours_keeps_its_traceback(error: Exception) -> None:
    assert problem_of(error) is None


def test_a_task_that_ran_out_of_its_budget_says_how_to_raise_it() -> None:
    problem = ended_badly(TASK, "partial", BudgetExhausted.of("tokens", 10, 11).info)
    assert problem.code == 1
    assert problem.action.endswith(f"agent-tasks resume {TASK} --budget-tokens N")


def test_an_impossible_identity_is_invalid_input() -> None:
    with pytest.raises(InvalidInput, match="subject"):
        identity_of("x" * 300, "", None)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("postgresql://ana:geheim@host:1/db", "postgresql://ana:***@host:1/db"),
        ("redis://:geheim@host/0", "redis://:***@host/0"),
        ("postgresql://host/db?user=ana&password=geheim&x=1", "postgresql://host/db?user=ana&password=***&x=1"),
        ("postgresql://postgres@/postgres?host=/run/socket", "postgresql://postgres@/postgres?host=/run/socket"),
    ],
)
def test_passwords_are_masked(value: str, shown: str) -> None:
    assert masked("database_url", value) == shown


def test_each_setting_in_force_says_which_variable_it_comes_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://h/db")
    monkeypatch.setenv("CELERY_BROKER_URL", "redis://h/0")
    monkeypatch.setenv("AGENT_TASKS_SECRET_KEY", "geheim")
    found = {setting.name: (setting.shown, setting.source) for setting in settings_in_force()}
    assert found["database_url"] == ("postgresql://h/db", "DATABASE_URL")
    assert found["redis_url"] == ("redis://h/0", "CELERY_BROKER_URL")
    assert found["secret_key"] == ("***", "AGENT_TASKS_SECRET_KEY")
    assert found["lease_seconds"] == ("15", "default")


def test_settings_come_from_a_running_dev_where_nothing_else_is_set(tmp_path: Path) -> None:
    """It is the lock on its file that says that it runs."""
    settings = {"database_url": "postgresql://h/db", "redis_url": "redis://h/0", "secret_key": "geheim"}
    with (tmp_path / "dev.json").open("w") as file:
        json.dump({"pid": os.getpid(), "settings": settings}, file)
        file.flush()
        fcntl.flock(file, fcntl.LOCK_EX)
        found = {setting.name: (setting.shown, setting.source) for setting in settings_in_force()}
    assert found["redis_url"] == ("redis://h/0", "agent-tasks dev")
    assert found["secret_key"] == ("***", "agent-tasks dev")


def test_only_what_models_need_reaches_the_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    dropped = ("AGENT_TASKS_POISON_CRASHES", "DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL", "PGPORT")
    kept = ("AGENT_TASKS_MODEL", "OPENAI_API_KEY")
    for name in dropped + kept:
        monkeypatch.setenv(name, "x")
    with only_for_models():
        assert not any(name in os.environ for name in dropped)
        assert all(name in os.environ for name in kept)
    assert all(os.environ[name] == "x" for name in dropped)


@pytest.mark.parametrize(
    ("time", "shown"),
    [
        (timedelta(milliseconds=400), "0.4 s"),
        (timedelta(seconds=59.4), "59 s"),
        (timedelta(minutes=3), "3 min"),
        (timedelta(hours=5), "5 h"),
        (timedelta(days=2), "2 d"),
    ],
)
def test_durations_are_short(time: timedelta, shown: str) -> None:
    assert duration(time.total_seconds()) == shown


def test_the_cost_of_the_kill_is_told_in_numbers() -> None:
    row = {
        "steps_kept": 12,
        "calls_kept": 96,
        "steps_repeated": 1,
        "calls_of_repeated": 8,
        "calls_replayed": 5,
    }
    assert repetition_lines(row, 13) == [
        "12 steps and 96 recorded calls done before the kill were not repeated.",
        "1 step ran twice (step 13): of its 8 calls 5 came from the ledger, 3 were made.",
    ]
    assert repetition_lines({**row, "steps_repeated": 0}, 13)[1].startswith("No step ran twice")
