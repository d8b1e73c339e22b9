"""The way to the broker of a team's app: which one it is, why, and that kombu's own consumer finds what went by it."""

import json
import logging
import re
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import kombu.serialization
import pytest
from kombu.entity import Queue

from agent_tasks import AgentTasks, Identity, InvalidInput, Settings
from agent_tasks.cli import checks
from agent_tasks.doorbell.envelope import HEADER, verify
from agent_tasks.doorbell.fast_path import client_of, same_redis
from agent_tasks.doorbell.installed import Installed, set_installed
from agent_tasks.sweeps import bells
from tests.database import query
from tests.eventually import eventually
from tests.team_app import made


@pytest.fixture(autouse=True)
def _nothing_installed() -> Iterator[None]:
    yield
    set_installed(None)


def rung_by(client: AgentTasks, app: Any) -> AgentTasks:
    """The client, in a process in which this app is installed."""
    set_installed(Installed(app, None, "shop"))
    client.close()
    return client


def redis_found(settings: Settings) -> str:
    """What doctor says of the Redis in which status is mirrored."""
    finding = checks._redis(settings)
    assert finding.ok
    return finding.text


def taken(app: Any, number: int) -> list[Any]:
    """What a consumer of the app takes from the queue."""
    with app.connection_for_read() as connection:
        bound = app.amqp.queues["agents"](connection.default_channel)
        return [bound.get(no_ack=True, accept=app.conf.accept_content) for _ in range(number)]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"global_keyprefix": "shop:"},
        {"sep": ":"},
        {"priority_steps": list(range(10))},
        {"priority_steps": [0, 5], "queue_order_strategy": "priority"},
        {"global_keyprefix": "{shop}", "sep": "|", "priority_steps": [2, 8], "visibility_timeout": 60},
    ],
    ids=str,
)
def test_bells_go_to_the_lists_that_the_apps_options_name_by_priority_in_one_round_trip_with_the_mirror(
    client: AgentTasks, options: dict[str, Any]
) -> None:
    app = made(client.settings.redis_url, broker_transport_options=options)
    ringing = rung_by(client, app)
    assert ringing.bells.path == "redis"
    assert ringing.publisher._added is not None
    ids = {priority: ringing.submit("echo", {"value": 1}, priority=priority).id for priority in (0, 9)}
    assert ringing.bells.waiting(["agents"]) == {"agents": 2}
    first, second = taken(app, 2)
    assert [message.headers["id"].partition(":")[0] for message in (first, second)] == [str(ids[9]), str(ids[0])]
    assert ringing.bells.waiting(["agents"]) == {"agents": 0}


def test_a_team_on_redis_names_no_other_and_status_is_mirrored_in_its_broker(client: AgentTasks) -> None:
    app = made(client.settings.redis_url)
    set_installed(Installed(app, None, "shop"))
    settings = client.settings.model_copy(update={"redis_url": ""})
    ringing = AgentTasks(settings)
    assert ringing.has_redis
    assert ringing.publisher._added is not None
    assert redis_found(settings).endswith("noeviction, that of the broker: AGENT_TASKS_REDIS_URL is not set")
    task = ringing.submit("echo", {"value": 1})
    assert (task.snapshot().status, ringing.bells.waiting(["agents"])) == ("pending", {"agents": 1})
    ringing.close()
    with_prefix = made(client.settings.redis_url, broker_transport_options={"global_keyprefix": "shop:"})
    set_installed(Installed(with_prefix, None, "shop"))
    sealed = AgentTasks(settings)
    assert not sealed.has_redis  # its user may have no right on other keys
    assert redis_found(settings).startswith("none: ")
    with pytest.raises(InvalidInput, match="AGENT_TASKS_REDIS_URL is not set"):
        _ = sealed.redis
    assert sealed.submit("echo", {"value": 1}).snapshot().status == "pending"
    sealed.close()


def test_a_bell_that_is_put_back_is_taken_next_from_the_list_it_was_in(client: AgentTasks) -> None:
    app = made(client.settings.redis_url, broker_transport_options={"global_keyprefix": "shop:", "sep": ":"})
    ringing = rung_by(client, app)
    tasks = ringing.submit_many("echo", [{"value": n} for n in range(3)])
    (message,) = taken(app, 1)
    from agent_tasks.doorbell.bell import passed_on

    passed = passed_on(message)
    assert passed is not None
    assert ringing.bells.put_back([passed])
    assert [each.headers["id"].partition(":")[0] for each in taken(app, 3)] == [str(task.id) for task in tasks]


@pytest.mark.parametrize(
    ("conf", "why"),
    [
        ({"broker_transport_options": {"shiny": 1}}, "the transport option shiny is not known"),
        ({"broker_transport_options": {"priority_steps": [9, 0]}}, "priority_steps must go up"),
        ({"accept_content": ["yaml"], "task_serializer": "yaml"}, "accept_content is without json"),
    ],
)
def test_what_the_fast_path_cannot_honour_goes_through_the_producer_and_arrives(
    client: AgentTasks, conf: dict[str, Any], why: str
) -> None:
    app = made(client.settings.redis_url, **conf)
    ringing = rung_by(client, app)
    assert ringing.bells.path == "producer"
    assert why in ringing.bells.why
    if "steps" in why:
        return
    ids = {priority: ringing.submit("echo", {"value": 1}, priority=priority).id for priority in (0, 9)}
    assert ringing.bells.waiting(["agents"]) == {"agents": 2}
    first, second = taken(app, 2)
    assert [message.headers["id"].partition(":")[0] for message in (first, second)] == [str(ids[9]), str(ids[0])]
    assert first.decode() == [[], {}, {}]
    assert first.content_type == ("application/x-yaml" if "yaml" in why or "json" in why else "application/json")


def test_a_bell_takes_the_queue_of_its_task_whatever_else_the_apps_routes_say(client: AgentTasks) -> None:
    app = made(
        client.settings.redis_url,
        task_routes={"*": {"queue": "elsewhere"}},
        broker_transport_options={"shiny": 1},
    )
    ringing = rung_by(client, app)
    ringing.submit("echo", {"value": 1}, queue="agents")
    eventually(lambda: ringing.bells.waiting(["agents", "elsewhere"]) == {"agents": 1, "elsewhere": 0})


def test_an_envelope_longer_than_a_frame_of_amqp_leaves_the_caller_to_the_row(client: AgentTasks) -> None:
    app = made(client.settings.redis_url)
    ringing = rung_by(client, app)
    for rights in (10, 14_000):
        ana = Identity(subject="ana", scopes=tuple(f"right-{number:07}" for number in range(rights)))
        task = ringing.submit("echo", {"value": 1}, identity=ana, session_id="s")
        (message,) = taken(app, 1)
        envelope = verify(message.headers[HEADER], *ringing.publisher.keys)
        assert len(json.dumps(message.headers)) < 100_000
        assert (envelope.identity, envelope.session_id) == ((ana, "s") if rights == 10 else (None, None))
        assert task.stored().identity == ana


def test_a_custom_serializer_of_the_app_carries_bells(client: AgentTasks) -> None:
    kombu.serialization.register(
        "shouted", lambda data: repr(data).upper(), lambda text: eval(text), "application/x-shouted", "utf-8"
    )
    try:
        app = made(client.settings.redis_url, accept_content=["shouted"], task_serializer="shouted")
        ringing = rung_by(client, app)
        ringing.submit("echo", {"value": 1})
        (message,) = taken(app, 1)
        assert message.content_type == "application/x-shouted"
        assert message.decode() == [[], {}, {}]
    finally:
        kombu.serialization.unregister("shouted")


def test_a_broker_that_is_neither_redis_nor_rabbitmq_carries_bells_and_its_queues_are_counted(
    client: AgentTasks, tmp_path: Path
) -> None:
    """kombu's transport over files stands for all those that are virtual, as that of SQS."""
    (tmp_path / "queue").mkdir()
    folders = {"data_folder_in": str(tmp_path / "queue"), "data_folder_out": str(tmp_path / "queue")}
    folders["control_folder"] = str(tmp_path / "control")
    app = made("filesystem://", broker_transport_options=folders)
    ringing = rung_by(client, app)
    assert (ringing.bells.path, "filesystem" in ringing.bells.why) == ("producer", True)
    tasks = ringing.submit_many("echo", [{"value": n} for n in range(3)])
    assert ringing.bells.waiting(["agents"]) == {"agents": 3}
    assert {message.headers["id"].partition(":")[0] for message in taken(app, 3)} == {str(task.id) for task in tasks}
    query(client, "UPDATE agent_tasks.tasks SET due_at = clock_timestamp() - interval '1 ms'")
    bells.run_once(ringing)
    assert ringing.bells.waiting(["agents"]) == {"agents": 3}


def test_a_queue_that_the_app_names_for_its_own_messages_has_no_number_of_bells(
    client: AgentTasks, tmp_path: Path
) -> None:
    folders = {"data_folder_in": str(tmp_path), "data_folder_out": str(tmp_path), "control_folder": str(tmp_path / "c")}
    app = made(
        "filesystem://",
        broker_transport_options=folders,
        task_default_queue="first",
        task_queues=[Queue("second")],
        task_routes=[{"shop.*": {"queue": "agents"}, "other": "third", re.compile("x"): {"queue": Queue("fourth")}}],
    )
    ringing = rung_by(client, app)
    named = ["agents", "first", "second", "third", "fourth"]
    assert ringing.bells.bells_waiting([*named, "far"]) == {**dict.fromkeys(named), "far": 0}
    ringing.submit("echo", {"value": 1}, queue="agents")
    assert ringing.bells.waiting(["agents"]) == {"agents": 1}
    assert [message.ack() for message in taken(app, 1)] == [None]
    for _ in range(3):
        app.send_task("shop.sell")
    query(client, "UPDATE agent_tasks.tasks SET due_at = clock_timestamp() - interval '1 ms'")
    assert bells.run_once(ringing) == 1


def test_a_broker_that_takes_connections_and_says_nothing_holds_up_no_commit(
    client: AgentTasks, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        app = made(f"amqp://127.0.0.1:{deaf.getsockname()[1]}//", broker_connection_timeout=30)
        ringing = rung_by(client, app)
        with caplog.at_level(logging.ERROR):
            started = monotonic()
            tasks = [ringing.submit("echo", {"value": n}) for n in range(20)]
            assert monotonic() - started < 20
        assert all(task.stored().status == "pending" for task in tasks)
        assert "the broker cannot be used; tasks wait in Postgres meanwhile" in caplog.text
        ringing.close()


@pytest.mark.parametrize(
    ("scheme", "ours", "url"),
    [
        ("redis", False, "AGENT_TASKS_BROKER_URL"),
        ("redis", True, "the broker's URL of the app shop"),
        ("amqp", True, ""),
    ],
)
def test_what_to_do_about_a_brokers_certificate_names_its_own_url(
    client: AgentTasks, scheme: str, ours: bool, url: str
) -> None:
    elsewhere = f"{scheme}://127.0.0.1:1//"
    if ours:
        set_installed(Installed(made(elsewhere), None, "shop"))
    ringing = AgentTasks(client.settings.model_copy(update={"broker_url": "" if ours else elsewhere}))
    bells_of: Any = ringing.bells
    breaker = bells_of.line.breaker if scheme == "redis" else bells_of._sender.breaker
    said = breaker.explained(ConnectionError("CERTIFICATE_VERIFY_FAILED: unknown CA"))
    assert (url in said, "REDIS_URL" in said) == (True, False)
    assert ("rediss://host" in said, "broker_use_ssl" in said) == (scheme == "redis", scheme == "amqp")
    ringing.close()


def test_bells_that_a_broker_did_not_take_are_rung_when_it_is_there(client: AgentTasks, tmp_path: Path) -> None:
    folders = {"data_folder_in": str(tmp_path / "queue"), "data_folder_out": str(tmp_path / "queue")}
    folders["control_folder"] = str(tmp_path / "control")
    app = made("filesystem://", broker_transport_options=folders)
    (tmp_path / "queue").write_text("no folder")
    ringing = rung_by(client, app)
    ringing.submit("echo", {"value": 1})
    (tmp_path / "queue").unlink()
    (tmp_path / "queue").mkdir()
    eventually(lambda: ringing.bells.waiting(["agents"])["agents"] == 1, 20)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("redis://h:6379/0", "redis://h/0", True),
        ("redis://h/0", "redis://h/1", False),
        ("redis://h/0", "redis://:p@h/0", False),
        ("redis+socket:///run/r.sock?virtual_host=2", "redis+socket:///run/r.sock?virtual_host=2", True),
        ("redis+socket:///run/r.sock?virtual_host=2", "redis+socket:///run/r.sock", False),
        ("rediss://u:p%40@h:1/3?ssl_cert_reqs=required", "rediss://u:p%40@h:1/3?ssl_cert_reqs=required", True),
        ("rediss://h/0?ssl_cert_reqs=required", "redis://h/0", False),
        ("rediss://h/0?ssl_cert_reqs=required", "rediss://h/0?ssl_cert_reqs=none", False),
        ("rediss://h/0?ssl_cert_reqs=CERT_NONE", "rediss://h/0?ssl_cert_reqs=none", True),
        ("rediss://h/0?ssl_cert_reqs=required&ssl_ca_certs=a", "rediss://h/0?ssl_cert_reqs=required", False),
    ],
)
def test_one_redis_is_known_by_its_place_and_user(one: str, other: str, same: bool) -> None:
    clients = [client_of(made(url).connection_for_write()) for url in (one, other)]
    assert same_redis(*clients) is same


@pytest.mark.parametrize(
    ("url", "used", "shares"),
    [
        ("rediss://h:1/0", {"ssl_cert_reqs": ssl.CERT_REQUIRED}, True),
        ("rediss://h:1/0?ssl_cert_reqs=CERT_NONE", {"ssl_cert_reqs": ssl.CERT_NONE}, True),
        ("rediss://h:1/0?ssl_ca_certs=ca.pem", {"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_ca_certs": "ca.pem"}, True),
        ("rediss://h:1/0", {"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_ca_certs": "ca.pem"}, False),
        ("rediss://h:1/0?ssl_certfile=c", {"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_certfile": "other"}, False),
    ],
)
def test_bells_leave_the_apps_client_only_for_one_that_is_secured_in_the_same_way(
    client: AgentTasks, url: str, used: dict[str, Any], shares: bool
) -> None:
    set_installed(Installed(made("rediss://h:1/0", broker_use_ssl=used), None, "shop"))
    ringing = AgentTasks(client.settings.model_copy(update={"redis_url": url}))
    assert (ringing.publisher._added is not None) is shares
    ringing.close()


def test_sentinels_and_tls_of_an_apps_own_options_reach_our_client() -> None:
    app = made(
        "sentinel://one:1/2;sentinel://two:2/2",
        broker_transport_options={"master_name": "ours", "sentinel_kwargs": {"password": "s"}},
        broker_use_ssl={"ssl_ca_certs": "/ca.pem"},
    )
    pool: Any = client_of(app.connection_for_write()).connection_pool
    assert pool.service_name == "ours"
    assert pool.connection_kwargs["db"] == 2
    assert pool.connection_kwargs["ssl_ca_certs"] == "/ca.pem"
    asked = [each.connection_pool.connection_kwargs for each in pool.sentinel_manager.sentinels]
    assert [(each["host"], each["port"], each["password"]) for each in asked] == [("one", 1, "s"), ("two", 2, "s")]


def test_a_broker_of_its_own_beside_the_redis_of_the_status(client: AgentTasks, settings: Settings) -> None:
    elsewhere = f"{settings.redis_url.rpartition('/')[0]}/9"
    apart = AgentTasks(settings.model_copy(update={"broker_url": elsewhere}))
    try:
        assert apart.bells.path == "redis"
        assert apart.publisher._added is None
        apart.submit("echo", {"value": 1})
        assert apart.bells.waiting(["agents"]) == {"agents": 1}
        assert client.bells.waiting(["agents"]) == {"agents": 0}
    finally:
        apart.bells.line.client.flushdb()  # type: ignore[attr-defined]
        apart.close()


def test_content_that_this_process_cannot_make_is_named_with_what_to_do(client: AgentTasks) -> None:
    ringing = rung_by(client, made(client.settings.redis_url, accept_content=["auth"], task_serializer="auth"))
    with pytest.raises(InvalidInput, match=r"serializer that is not registered.*setup_security"):
        ringing.submit("echo", {"value": 1})
