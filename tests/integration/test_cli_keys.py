"""`agent-tasks keys`: what is printed, and how it ends."""

import json

import pytest
from typer.testing import CliRunner, Result

from agent_tasks import AgentTasks, Identity, InvalidInput, Settings
from agent_tasks.cli.application import app
from agent_tasks.cli.lifetime import lifetime
from agent_tasks.client import keys
from agent_tasks.client.unauthenticated import Unauthenticated
from tests.database import query

ANA = ("--tenant", "acme", "--subject", "ana", "--scope", "tasks:write")


@pytest.fixture(autouse=True)
def _in_force(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The deployment's settings, in the environment."""
    monkeypatch.setenv("AGENT_TASKS_DATABASE_URL", settings.database_url)
    monkeypatch.setenv("AGENT_TASKS_REDIS_URL", settings.redis_url)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["keys", *arguments], prog_name="agent-tasks")


def test_a_key_is_made_listed_and_revoked(client: AgentTasks) -> None:
    made = run("create", *ANA, "--scope", "tasks:read", "--expires", "90d", "--json")
    assert (made.exit_code, made.stderr) == (0, "")
    printed = json.loads(made.stdout)
    found = keys.verify(client, printed["key"])
    assert found.identity == Identity(subject="ana", tenant="acme", scopes=("tasks:write", "tasks:read"))
    assert found.expires_at is not None
    assert round((found.expires_at - found.created_at).total_seconds()) == 90 * 86_400
    other = run("create", "--subject", "eve", "--scope", "admin")
    assert other.stdout.startswith("at_")
    assert other.stdout.count("\n") == 1
    listed = [json.loads(line) for line in run("list", "--json").stdout.splitlines()]
    assert [(key["id"], key["subject"]) for key in listed] == [(printed["id"], "ana"), (other.stdout[3:19], "eve")]
    assert "key" not in listed[0]
    assert [json.loads(line)["subject"] for line in run("list", "--json", "--tenant", "acme").stdout.splitlines()] == [
        "ana"
    ]
    revoked = run("revoke", printed["id"], "--json")
    assert json.loads(revoked.stdout) == {"id": printed["id"], "revoked": True}
    with pytest.raises(Unauthenticated, match="revoked"):
        keys.verify(client, printed["key"])


def test_a_key_is_printed_alone_so_that_a_script_can_keep_it(client: AgentTasks) -> None:
    made = run("create", *ANA)
    assert keys.verify(client, made.stdout.strip()).subject == "ana"
    assert "not shown again" in made.stderr


def test_the_list_says_what_has_become_of_each_key(client: AgentTasks) -> None:
    assert run("list").stdout == "No keys.\n"
    ids = [run("create", *ANA, "--expires", "9d").stdout[3:19] for _ in range(3)]
    run("revoke", ids[0])
    query(client, "UPDATE agent_tasks.api_keys SET expires_at = clock_timestamp() WHERE id = %s", ids[1])
    query(client, "UPDATE agent_tasks.api_keys SET last_used_at = clock_timestamp() WHERE id = %s", ids[2])
    head, *lines = run("list").stdout.splitlines()
    assert head.split() == ["KEY", "SUBJECT", "STATE"]
    assert [line.split(maxsplit=4) for line in lines[::2]] == [
        [ids[0], "ana", "of", "acme", "revoked"],
        [ids[1], "ana", "of", "acme", "expired"],
        [ids[2], "ana", "of", "acme", "valid for 9 d"],
    ]
    assert "tasks:write · never used" in lines[1]
    assert "tasks:write · used 0." in lines[5]
    assert all(len(line) <= 80 for line in [head, *lines])


@pytest.mark.parametrize(
    ("scopes", "said"),
    [
        (["tasks:wirte"], "did you mean tasks:write?"),
        (["tasks:delete"], "no scope of the gateway"),
        ([], "without a scope may do nothing"),
        (["tasks:write", "payments"], ""),
    ],
)
def test_a_scope_that_looks_misspelt_is_told_and_kept(client: AgentTasks, scopes: list[str], said: str) -> None:
    made = run("create", "--subject", "ana", *[part for scope in scopes for part in ("--scope", scope)])
    assert made.exit_code == 0
    assert ("warning: " in made.stderr, said in made.stderr) == (bool(said), True)
    assert client.keys()[0].scopes == tuple(scopes)


def test_a_key_that_is_not_there_exits_with_4() -> None:
    result = run("revoke", "0" * 16)
    assert (result.exit_code, result.stderr.count("\n")) == (4, 1)
    assert "agent-tasks keys list" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [[], ["--subject", ""], ["--subject", "ana", "--expires", "soon"], ["--subject", "ana", "--expires", "0d"],
     ["--subject", "ana", "--expires", "99999999d"], ["--subject", "ana", "--scope", "a b"]],
)  # fmt: skip
def test_what_no_key_can_have_exits_with_2_and_makes_none(client: AgentTasks, arguments: list[str]) -> None:
    result = run("create", *arguments, "--json")
    assert result.exit_code == 2
    assert json.loads(result.stderr.splitlines()[-1])["type"] == "invalid_input"
    assert client.keys() == []


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90d", 90 * 86_400), ("12h", 43_200), ("30m", 1800), ("5 s", 5), ("2W", 14 * 86_400), ("1.5h", 5400)],
)
def test_a_lifetime_is_a_number_and_a_unit(text: str, seconds: float) -> None:
    assert lifetime(text, "expires") == seconds


@pytest.mark.parametrize("text", ["", "90", "d", "-1d", "1y", "1e3d", "١d", "1d1h"])
def test_what_is_no_lifetime_is_refused_with_how_to_write_one(text: str) -> None:
    with pytest.raises(InvalidInput, match="as in 90d"):
        lifetime(text, "expires")
