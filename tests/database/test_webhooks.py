"""Endpoints of webhooks: who may register, see and change them, and what comes of it."""

import asyncio
import json
from base64 import b64decode, b64encode
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from agent_tasks import (
    AgentTasks,
    Identity,
    InvalidInput,
    InvalidState,
    PermissionDenied,
    Settings,
    TaskNotFound,
    Webhook,
)
from agent_tasks.aio import AsyncAgentTasks
from agent_tasks.cli.application import app
from agent_tasks.client import endpoints
from agent_tasks.task.event import TOLD_TYPES
from tests.database import claimed, operations_of, query
from tests.database.webhooks import deliveries

ANA = Identity(subject="ana", tenant="acme")
BOB = Identity(subject="bob", tenant="acme")
BOSS = Identity(subject="boss", tenant="acme", scopes=("tasks:all",))
EVE = Identity(subject="eve", tenant="other", scopes=("tasks:all",))
URL = "https://a.example/hooks?token=hidden"
OWN = "whsec_" + b64encode(b"x" * 24).decode()


def shown(webhook: Webhook, *names: str) -> dict[str, Any]:
    return {name: getattr(webhook, name) for name in names}


def seen(client: AgentTasks, identity: Identity) -> list[dict[str, Any]]:
    return [each.model_dump() for each in client.webhooks.deliveries(identity=identity).deliveries]


def test_an_endpoint_is_registered_with_a_secret_of_its_own(client: AgentTasks) -> None:
    made = client.webhooks.put("billing", URL, types=["task.failed", "found"], agents=["echo"], payload="full")
    assert shown(made, "name", "tenant", "subject", "url", "types", "agents", "payload", "ordered", "disabled_at") == {
        "name": "billing", "tenant": "", "subject": None, "url": URL, "types": ("task.failed", "found"),
        "agents": ("echo",), "payload": "full", "ordered": True, "disabled_at": None,
    }  # fmt: skip
    assert made.secret is not None
    assert made.secret.startswith("whsec_")
    assert len(b64decode(made.secret[6:])) == 32
    assert made.secret not in repr(made)
    assert client.webhooks.get("billing") == made
    assert client.webhooks.list() == [made.model_copy(update={"secret": None})]
    assert client.webhooks.put("other", URL).secret != made.secret


def test_an_endpoint_is_changed_under_its_name_and_keeps_its_id_and_secret(client: AgentTasks) -> None:
    first = client.webhooks.put("billing", URL, types=["task.failed"])
    again = client.webhooks.put("billing", "http://b.example", ordered=False)
    assert (again.id, again.secret, again.created_at) == (first.id, first.secret, first.created_at)
    assert (again.url, again.types, again.ordered, again.rotating_until) == ("http://b.example", None, False, None)
    own = client.webhooks.put("billing", "http://b.example", secret=OWN)
    assert own.secret == OWN
    assert own.rotating_until is not None
    assert client.webhooks.put("billing", "http://b.example", secret=OWN) == own.model_copy(update={"ordered": True})


def test_a_secret_is_rotated_with_two_that_sign_for_a_while(client: AgentTasks) -> None:
    first = client.webhooks.put("billing", URL)
    second = client.webhooks.rotate("billing", overlap=3600)
    (row,) = query(client, "SELECT *, extract(epoch FROM old_until - now()) AS left FROM agent_tasks.webhooks")
    assert second.secret not in (None, first.secret)
    assert (row["secret"], row["old_secret"]) == (second.secret, first.secret)
    assert float(row["left"]) == pytest.approx(3600, abs=60)
    assert second.rotating_until == row["old_until"]
    third = client.webhooks.rotate("billing", secret=OWN, overlap=0)
    assert (third.secret, third.rotating_until) == (OWN, None)


def test_a_disabled_endpoint_is_told_nothing_until_it_is_enabled(client: AgentTasks) -> None:
    made = client.webhooks.put("billing", URL)
    query(client, "INSERT INTO agent_tasks.lanes VALUES (%s, 7, now(), now())", f"webhook:{made.id}")
    assert client.webhooks.get("billing").failing_since is not None
    off = client.webhooks.disable("billing")
    assert (off.disabled_why, off.disabled_at) != (None, None)
    assert client.webhooks.disable("billing") == off
    client.submit("echo", {"value": 1})
    with pytest.raises(InvalidState, match="disabled"):
        client.webhooks.ping("billing")
    assert client.webhooks.put("billing", URL).disabled_why == "asked"
    assert deliveries(client, made.id) == []
    on = client.webhooks.enable("billing")
    assert (on.disabled_why, on.disabled_at, on.failing_since) == (None, None, None)
    client.submit("echo", {"value": 1})
    assert [row["type"] for row in deliveries(client, made.id)] == ["task.submitted"]


def test_another_url_is_tried_as_if_nothing_had_failed(client: AgentTasks) -> None:
    made = client.webhooks.put("billing", URL)
    query(client, "INSERT INTO agent_tasks.lanes VALUES (%s, 7, now(), now())", f"webhook:{made.id}")
    assert client.webhooks.put("billing", URL, ordered=False).failing_since is not None
    client.webhooks.put("billing", "https://b.example")
    assert client.webhooks.get("billing").failing_since is None


def test_with_another_subject_it_is_another_endpoint_and_inherits_no_deliveries(client: AgentTasks) -> None:
    first = client.webhooks.put("billing", URL, identity=BOSS)
    query(client, "INSERT INTO agent_tasks.lanes VALUES (%s, 7, now(), now())", f"webhook:{first.id}")
    client.submit("echo", {"value": 1}, identity=BOB)
    again = client.webhooks.put("billing", URL, subject="ana", identity=BOSS)
    assert (again.subject, again.secret, again.failing_since) == ("ana", first.secret, None)
    assert again.id != first.id
    assert client.webhooks.deliveries(identity=ANA).deliveries == []
    client.webhooks.put("billing", "https://ana.example", identity=ANA)
    client.submit("echo", {"value": 1}, identity=ANA)
    assert [(row["webhook"], row["subject"]) for row in seen(client, ANA)] == [("billing", "ana")]
    assert [(row["webhook"], row["subject"]) for row in seen(client, BOSS)] == [("billing", "ana"), (None, "bob")]
    assert query(client, "SELECT FROM agent_tasks.lanes") == []
    wider = client.webhooks.put("billing", URL, identity=BOSS)
    assert (wider.id, wider.subject) == (again.id, None)


def test_what_was_for_an_endpoint_of_a_trusted_program_goes_to_no_other_that_takes_its_name(client: AgentTasks) -> None:
    carl = Identity(subject="carl", scopes=("tasks:all",))
    first = client.webhooks.put("billing", URL, payload="full")
    assert client.webhooks.put("billing", URL).id == first.id
    client.submit("echo", {"value": 1})
    taken = client.webhooks.put("billing", "https://carl.example", payload="full", identity=carl)
    assert taken.id != first.id
    client.submit("echo", {"value": 1})
    assert deliveries(client, taken.id) == []
    back = client.webhooks.put("billing", URL)
    client.submit("echo", {"value": 1})
    assert back.id == taken.id
    assert len(deliveries(client, back.id)) == 1


def test_whose_it_is_no_more_sees_none_of_what_others_were_told(client: AgentTasks) -> None:
    """Also where a delivery was made of another's task before."""
    made = client.webhooks.put("billing", URL, identity=BOSS)
    client.submit("echo", {"value": 1}, identity=BOB)
    query(client, "UPDATE agent_tasks.webhooks SET subject = 'ana' WHERE id = %s", made.id)
    assert seen(client, ANA) == []


def test_a_removed_endpoint_is_told_nothing_and_its_name_is_free(client: AgentTasks) -> None:
    made = client.webhooks.put("billing", URL)
    assert client.webhooks.remove("billing")
    assert not client.webhooks.remove("billing")
    client.submit("echo", {"value": 1})
    assert deliveries(client, made.id) == query(client, "SELECT FROM agent_tasks.outbox") == []
    assert client.webhooks.put("billing", URL).id != made.id


def test_a_ping_goes_to_one_endpoint_whatever_it_is_told_of(client: AgentTasks) -> None:
    mine = client.webhooks.put("billing", URL, types=["task.failed"], agents=["echo"])
    client.webhooks.put("other", URL)
    sent = client.webhooks.ping("billing")
    assert (sent.webhook, sent.type, sent.status, sent.task_id) == ("billing", "webhook.ping", "pending", None)
    (row,) = query(client, "SELECT * FROM agent_tasks.deliveries")
    assert (row["id"], row["webhook_id"], row["lane"]) == (sent.id, mine.id, f"webhook:{mine.id}")
    (told,) = query(client, "SELECT * FROM agent_tasks.outbox")
    assert (told["id"], told["type"], told["data"]) == (row["outbox_id"], "webhook.ping", {"webhook": "billing"})


def test_names_are_told_apart_by_tenant(client: AgentTasks) -> None:
    for tenant in ("acme", "other", ""):
        client.webhooks.put("billing", f"https://{tenant or 'nobody'}.example", tenant=tenant)
    assert client.webhooks.get("billing").url == "https://nobody.example"
    assert client.webhooks.get("billing", tenant="acme").url == "https://acme.example"
    assert [each.tenant for each in client.webhooks.list()] == ["", "acme", "other"]
    assert [each.tenant for each in client.webhooks.list(tenant="acme")] == ["acme"]
    assert client.webhooks.remove("billing", tenant="acme")
    assert [each.tenant for each in client.webhooks.list()] == ["", "other"]


def test_somebody_is_told_of_their_own_tasks_and_of_the_whole_tenant_with_the_scope_for_it(client: AgentTasks) -> None:
    mine = client.webhooks.put("mine", URL, identity=ANA)
    all_ = client.webhooks.put("all", URL, identity=BOSS)
    bobs = client.webhooks.put("bobs", URL, subject="bob", identity=BOSS)
    assert [(each.tenant, each.subject) for each in (mine, all_, bobs)] == [
        ("acme", "ana"), ("acme", None), ("acme", "bob"),
    ]  # fmt: skip
    client.submit("echo", {"value": 1}, identity=ANA)
    assert [len(deliveries(client, each.id)) for each in (mine, all_, bobs)] == [1, 1, 0]
    with pytest.raises(PermissionDenied, match="tasks:all"):
        client.webhooks.put("hers", URL, subject="bob", identity=ANA)
    with pytest.raises(PermissionDenied, match="tasks:all"):
        client.webhooks.put("theirs", URL, tenant="acme", identity=EVE)


def test_an_endpoint_of_others_is_not_there(client: AgentTasks) -> None:
    client.webhooks.put("mine", URL, identity=ANA)
    client.webhooks.put("all", URL, identity=BOSS)
    client.webhooks.put("none", URL)
    for name, others in (("mine", (BOB, EVE)), ("all", (ANA, EVE)), ("none", (ANA, BOSS, EVE))):
        for other in others:
            tenant = "" if name == "none" else "acme"
            for do in ("get", "rotate", "enable", "disable", "ping"):
                with pytest.raises(TaskNotFound):
                    getattr(client.webhooks, do)(name, tenant=tenant, identity=other)
            assert not client.webhooks.remove(name, tenant=tenant, identity=other)
    assert [each.name for each in client.webhooks.list(identity=ANA)] == ["mine"]
    assert [each.name for each in client.webhooks.list(identity=BOSS)] == ["all", "mine"]
    assert client.webhooks.list(identity=EVE) == client.webhooks.list(tenant="acme", identity=EVE) == []
    with pytest.raises(PermissionDenied, match="somebody else of the tenant has that name"):
        client.webhooks.put("all", URL, identity=ANA)
    assert client.webhooks.get("mine", identity=BOSS).subject == "ana"


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no name": ({"name": ""}, "name"),
    "a name with a newline": ({"name": "a\nb"}, "name"),
    "no URL": ({"url": "a.example"}, "url"),
    "a private address": ({"url": "http://[::ffff:10.0.0.1]/"}, "url"),
    "no types": ({"types": []}, "types"),
    "types in one text": ({"types": "task.failed"}, "types"),
    "a misspelt type": ({"types": ["task.completd"]}, "types"),
    "too many types": ({"types": [f"t{n}" for n in range(101)]}, "types"),
    "an agent that no name is": ({"agents": ["a b"]}, "agents"),
    "no payload": ({"payload": "fat"}, "payload"),
    "no flag": ({"ordered": 1}, "ordered"),
    "a short secret": ({"secret": "whsec_" + b64encode(b"x" * 23).decode()}, "secret"),
    "a long secret": ({"secret": "whsec_" + b64encode(b"x" * 65).decode()}, "secret"),
    "a secret without its prefix": ({"secret": b64encode(b"x" * 32).decode()}, "secret"),
    "a secret that is no base64": ({"secret": "whsec_" + "é" * 40}, "secret"),
    "a private key": ({"secret": "whsk_" + b64encode(b"x" * 32).decode()}, "secret"),
    "no subject": ({"subject": ""}, "subject"),
}


@pytest.mark.parametrize("what", BAD)
def test_what_no_endpoint_can_be_is_refused_by_name(client: AgentTasks, what: str) -> None:
    given, field = BAD[what]
    with pytest.raises(InvalidInput) as caught:
        client.webhooks.put(**{"name": "w", "url": URL, **given})
    assert caught.value.details["field"] == field
    assert given.get("secret", "never") not in caught.value.message
    assert client.webhooks.list() == []


def test_a_misspelt_type_is_refused_with_the_nearest(client: AgentTasks) -> None:
    with pytest.raises(InvalidInput, match=r"task\.cancelled"):
        client.webhooks.put("w", URL, types=["task.canceled"])


def test_an_agent_cannot_emit_what_only_the_system_tells(client: AgentTasks) -> None:
    operations = operations_of(client, claimed(client))
    for type_ in TOLD_TYPES:
        with pytest.raises(InvalidInput, match="a name of your own"):
            operations.emit(type_, None)


def test_endpoints_are_bounded_for_each_and_for_the_tenant(client: AgentTasks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoints, "MOST", 2)
    monkeypatch.setattr(endpoints, "MOST_OF_TENANT", 3)
    for name in ("a", "b"):
        client.webhooks.put(name, URL, identity=ANA)
    with pytest.raises(InvalidInput, match="2 endpoints already"):
        client.webhooks.put("c", URL, identity=ANA)
    client.webhooks.put("a", "https://b.example", identity=ANA)
    client.webhooks.put("c", URL, identity=BOB)
    with pytest.raises(InvalidInput, match="3 endpoints already"):
        client.webhooks.put("d", URL, identity=BOB)
    client.webhooks.put("d", URL, identity=EVE)


def test_each_write_is_audited_without_what_is_secret(client: AgentTasks) -> None:
    client.webhooks.put("w", URL, identity=BOSS)
    client.webhooks.rotate("w", identity=BOSS)
    client.webhooks.ping("w", identity=BOSS)
    for _ in range(2):  # the second changes nothing
        client.webhooks.disable("w", identity=BOSS)
    for _ in range(2):
        client.webhooks.enable("w", identity=BOSS)
    client.webhooks.remove("w", identity=BOSS)
    found = list(reversed(client.audit()))
    assert [(each.operation, each.target, each.subject, each.tenant) for each in found] == [
        (f"{did}_webhook", "w", "boss", "acme") for did in ("put", "rotate", "ping", "disable", "enable", "remove")
    ]
    assert [each.data for each in found] == [{"host": "a.example"}, None, None, None, None, None]


def test_the_secret_of_callbacks_is_that_of_a_tenant_and_of_the_key(settings: Settings) -> None:
    def of(key: str, **options: Any) -> str:
        client = AgentTasks(settings.model_copy(update={"secret_key": key}))
        try:
            return client.webhooks.callback_secret(**options)
        finally:
            client.close()

    assert of("new,old") == of("new") != of("old")
    assert of("new", tenant="acme") == of("new", identity=BOSS) != of("new")
    for identity in (ANA, EVE):
        with pytest.raises(PermissionDenied, match="tasks:all"):
            of("new", tenant="acme", identity=identity)


def test_async_callers_register_endpoints_too(client: AgentTasks) -> None:
    async def register() -> list[Webhook]:
        webhooks = AsyncAgentTasks(client).webhooks
        await webhooks.put("w", URL)
        await webhooks.ping("w")
        return await webhooks.list()

    assert [each.name for each in asyncio.run(register())] == ["w"]


@pytest.fixture
def run(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The command line, on this deployment."""
    monkeypatch.setenv("AGENT_TASKS_DATABASE_URL", settings.database_url)
    monkeypatch.setenv("AGENT_TASKS_REDIS_URL", settings.redis_url)

    def run(*arguments: str, input: str | None = None) -> Result:
        return CliRunner().invoke(app, ["webhooks", *arguments], prog_name="agent-tasks", input=input)

    return run


def test_the_command_line_has_the_same_operations(client: AgentTasks, run: Any) -> None:
    made = run("set", "w", URL, "--type", "task.failed", "--agent", "echo", "--full", "--unordered", "--tenant", "acme")
    assert (made.exit_code, made.stdout.startswith("whsec_"), made.stdout.count("\n")) == (0, True, 1)
    kept = client.webhooks.get("w", tenant="acme")
    assert kept.secret == made.stdout.strip()
    assert shown(kept, "types", "agents", "payload", "ordered") == {
        "types": ("task.failed",), "agents": ("echo",), "payload": "full", "ordered": False,
    }  # fmt: skip
    (line,) = run("list", "--json").stdout.splitlines()
    assert json.loads(line)["name"] == "w"
    assert "secret" not in json.loads(line)
    for words in (run("list"), run("show", "w", "--tenant", "acme")):
        assert "enabled" in words.stdout
        assert "task.failed" in words.stdout
    assert kept.secret in run("show", "w", "--tenant", "acme").stdout
    assert kept.secret not in run("list").stdout
    assert json.loads(run("show", "w", "--tenant", "acme", "--json").stdout)["secret"] == kept.secret
    own = run("rotate", "w", "--secret", "-", "--overlap", "2h", "--tenant", "acme", "--json", input=f"{OWN}\n")
    assert json.loads(own.stdout)["secret"] == OWN
    assert "signs, too" in run("show", "w", "--tenant", "acme").stdout
    sent = run("ping", "w", "--tenant", "acme", "--json")
    assert json.loads(sent.stdout)["type"] == "webhook.ping"
    assert run("disable", "w", "--tenant", "acme").stdout == "w is disabled\n"
    assert "disabled" in run("list").stdout
    assert json.loads(run("enable", "w", "--tenant", "acme", "--json").stdout)["disabled_at"] is None
    assert run("remove", "w", "--tenant", "acme").stdout == "w is removed\n"
    assert run("list").stdout == "No endpoints.\n"
    assert run("callback-secret", "--tenant", "acme").stdout.strip() == client.webhooks.callback_secret(tenant="acme")


def test_the_command_line_says_what_is_wrong(client: AgentTasks, run: Any) -> None:
    client.webhooks.put("w", URL, identity=ANA)
    for arguments, code in (
        (("show", "w"), 4),
        (("show", "w", "--as", "bob", "--tenant", "acme"), 4),
        (("show", "w", "--as", "ana", "--tenant", "acme"), 0),
        (("remove", "none"), 4),
        (("set", "w", "http://127.0.0.1"), 2),
        (("set", "w", URL, "--secret", "x"), 2),
        (("list", "--scope", "tasks:all"), 2),
        (("rotate", "w", "--overlap", "soon"), 2),
    ):
        found = run(*arguments)
        assert found.exit_code == code, (arguments, found.output)
        assert bool(found.stderr) == (code != 0)
