"""Settings: every knob from the environment, and a clear word on what is wrong with one."""

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

import agent_tasks.settings as settings_module
from agent_tasks import InvalidInput, Settings

DATABASE, REDIS = "postgresql://here/db", "redis://here:6379/0"


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No settings in the environment, and no servers of `agent-tasks dev`."""
    for name in tuple(os.environ):
        if name.startswith("AGENT_TASKS_") or name in ("DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AGENT_TASKS_DATA_DIR", str(tmp_path))


def given(monkeypatch: pytest.MonkeyPatch, **variables: str) -> Settings:
    for name, value in {"AGENT_TASKS_DATABASE_URL": DATABASE, "AGENT_TASKS_REDIS_URL": REDIS, **variables}.items():
        monkeypatch.setenv(name, value)
    return Settings.load()


def test_two_addresses_are_all_that_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = given(monkeypatch)
    assert (settings.database_url, settings.redis_url) == (DATABASE, REDIS)
    assert (settings.lease_seconds, settings.ttl_seconds, settings.poison_crashes) == (15, 900, 3)
    assert (settings.payload_limit, settings.idempotency_seconds) == (1024 * 1024, 24 * 3600)


@pytest.mark.parametrize("name", sorted(set(Settings.model_fields)))
def test_each_setting_is_read_from_its_variable(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    default = Settings.model_fields[name].default
    said = {"agents": "a.b, c ,", "bundled": "a.b, c ,", "prepared_statements": "off", "keep_unacknowledged": "true"}
    said |= {"database_url": DATABASE, "redis_url": REDIS, "gateway_auth": "off", "oidc_algorithms": "RS256, PS384"}
    said |= {"oidc_issuer": "https://issuer", "oidc_jwks_url": "https://issuer/jwks"}
    said |= {"gateway_rate": "600/minute", "public_url": "https://a.example/tasks"}
    said |= {"flower_url": "https://a.example/flower", "trace_url": "https://a.example/{trace_id}"}
    said |= {"webhook_allow": "a.example, 10.0.0.0/8", "webhook_seconds": "20", "webhook_retry_scale": "0.5"}
    said |= {"agentcore_mode": "acknowledge", "broker_url": "amqp://h//", "traces": "true"}
    said |= {"hook_secrets": f"whsec_{'c2lnbmVk' * 4}"}
    value = said.get(name, "2000" if isinstance(default, int | float) else "text")
    found = getattr(given(monkeypatch, **{f"AGENT_TASKS_{name.upper()}": value}), name)
    lists = {"agents": ("a.b", "c"), "bundled": ("a.b", "c"), "oidc_algorithms": ("RS256", "PS384")}
    lists |= {"webhook_allow": ("a.example", "10.0.0.0/8"), "mcp_hosts": ("text",), "mcp_origins": ("text",)}
    assert found == (lists[name] if name in lists else type(default)(value))


@pytest.mark.parametrize("database", ["AGENT_TASKS_DATABASE_URL", "DATABASE_URL"])
@pytest.mark.parametrize("broker", ["AGENT_TASKS_REDIS_URL", "REDIS_URL", "CELERY_BROKER_URL"])
def test_the_usual_names_of_the_addresses_are_accepted(
    monkeypatch: pytest.MonkeyPatch, database: str, broker: str
) -> None:
    monkeypatch.setenv(database, DATABASE)
    monkeypatch.setenv(broker, REDIS)
    settings = Settings.load()
    assert (settings.database_url, settings.redis_url) == (DATABASE, REDIS)


def test_our_own_names_come_before_the_usual_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    others = {
        "DATABASE_URL": "postgresql://other/x",
        "REDIS_URL": "redis://other",
        "CELERY_BROKER_URL": "redis://third",
    }
    settings = given(monkeypatch, **others)
    assert (settings.database_url, settings.redis_url) == (DATABASE, REDIS)
    monkeypatch.delenv("AGENT_TASKS_REDIS_URL")
    assert Settings.load().redis_url == "redis://other"


def test_a_celery_broker_that_is_no_redis_is_the_broker_and_keeps_no_status(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = given(monkeypatch, CELERY_BROKER_URL="amqp://u:geheim@h//")
    assert (settings.broker_url, settings.redis_url) == ("amqp://u:geheim@h//", REDIS)
    assert "geheim" not in repr(settings) + settings.model_dump_json()
    monkeypatch.delenv("AGENT_TASKS_REDIS_URL")
    assert Settings(database_url=DATABASE).redis_url == ""
    assert given(monkeypatch, AGENT_TASKS_BROKER_URL="sqs://").broker_url == "sqs://"


@pytest.mark.parametrize("url", ["rabbit", "redis://h/x", "sentinel://a:1/0"])
def test_a_broker_that_no_transport_can_be_for_is_refused(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        given(monkeypatch, AGENT_TASKS_BROKER_URL=url)
    assert refused.value.details["field"] == "AGENT_TASKS_BROKER_URL"


BY_OPTIONS = ("sentinel://a:26379;sentinel://b:26379", "redis://a:6379/0;redis://b:6379/0")
"""URLs that Celery takes, with options of an app."""


@pytest.mark.parametrize("url", BY_OPTIONS)
def test_a_celery_broker_that_its_url_alone_does_not_reach_is_left_to_the_app(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, url: str
) -> None:
    monkeypatch.setattr(settings_module, "_warned", set())
    settings = given(monkeypatch, CELERY_BROKER_URL=url)
    assert (settings.broker_url, settings.redis_url) == ("", REDIS)
    said = caplog.text
    assert said.count("CELERY_BROKER_URL is not used: ") == 1
    assert "Name your app by AGENT_TASKS_APP, or its broker by AGENT_TASKS_BROKER_URL" in said
    with pytest.raises(InvalidInput, match="AGENT_TASKS_REDIS_URL is not set"):
        given(monkeypatch, AGENT_TASKS_REDIS_URL="", CELERY_BROKER_URL=url)
    settings = given(monkeypatch, AGENT_TASKS_REDIS_URL="", AGENT_TASKS_APP="shop", CELERY_BROKER_URL=url)
    assert (settings.broker_url, settings.redis_url) == ("", "")
    assert caplog.text == said
    for name in ("AGENT_TASKS_REDIS_URL", "AGENT_TASKS_BROKER_URL"):
        with pytest.raises(InvalidInput, match=name):
            given(monkeypatch, **{"CELERY_BROKER_URL": url, name: url})


def test_an_empty_variable_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = given(monkeypatch, AGENT_TASKS_REDIS_URL="", CELERY_BROKER_URL=REDIS)
    assert settings.redis_url == REDIS


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("lease_seconds", "abc"),
        ("lease_seconds", "0"),
        ("lease_seconds", "-1"),
        ("lease_seconds", "nan"),
        ("ttl_seconds", "inf"),
        ("payload_limit", "10"),
        ("pool_size", "0"),
        ("metrics_port", "70000"),
        ("poison_crashes", "1.5"),
        ("gateway_auth", "maybe"),
        ("oidc_issuer", "issuer.acme.com"),
        ("oidc_jwks_url", "file:///etc/passwd"),
        ("trace_url", "https://a.example/trace"),
        ("oidc_algorithms", "HS256"),
        ("oidc_algorithms", "RS256,HS512"),
        ("oidc_algorithms", "none"),
        ("oidc_algorithms", "None"),
        ("oidc_algorithms", ","),
        ("agentcore_mode", "wait"),
        ("agentcore_identity", "acme/"),
        ("agentcore_identity", '{"tenant": "acme"}'),
        ("agentcore_identity", '{"subject": "ana", "role": "admin"}'),
        ("agentcore_identity", "{"),
        ("agentcore_identity", '{"subject": "ana", "scopes": ["admin"]}'),
        ("gateway_rate", "fast"),
        ("gateway_rate", "0/second"),
        ("gateway_open_tasks", "-1"),
        ("webhook_seconds", "31"),
        ("webhook_retry_scale", "0"),
        ("webhook_retry_scale", "2"),
        ("public_url", "a.example"),
        ("public_url", "https://a.example/?x=1"),
        ("webhook_allow", "http://127.0.0.1"),
        ("webhook_allow", "10.0.0.0/40"),
        ("webhook_allow", "127.0.0.1:8080"),
    ],
)
def test_a_wrong_value_is_refused_with_the_variable_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    with pytest.raises(InvalidInput, match=f"AGENT_TASKS_{name.upper()}"):
        given(monkeypatch, **{f"AGENT_TASKS_{name.upper()}": value})


def test_a_public_url_may_end_with_a_slash(monkeypatch: pytest.MonkeyPatch) -> None:
    assert given(monkeypatch, AGENT_TASKS_PUBLIC_URL="https://a.example/tasks/").public_url == "https://a.example/tasks"


def test_an_algorithm_whose_keys_can_sign_is_refused_with_those_that_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidInput, match=r"asymmetric algorithms \(RS256, .*\), not HS256"):
        given(monkeypatch, AGENT_TASKS_OIDC_ALGORITHMS="RS256,HS256")


@pytest.mark.parametrize("missing", ["AGENT_TASKS_DATABASE_URL", "AGENT_TASKS_REDIS_URL"])
def test_a_missing_address_is_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    with pytest.raises(InvalidInput, match=rf"{missing} is not set.*agent-tasks dev") as caught:
        given(monkeypatch, **{missing: ""})
    assert caught.value.details["field"] == missing


def test_without_any_address_the_first_to_set_is_named() -> None:
    with pytest.raises(InvalidInput, match="AGENT_TASKS_DATABASE_URL is not set"):
        Settings.load()


@pytest.mark.parametrize("file", ["", "{", "[]", "null", '{"pid": "x"}', '{"pid": 4194304999, "settings": {}}'])
def test_a_broken_record_of_embedded_servers_is_as_good_as_none(tmp_path: Path, file: str) -> None:
    (tmp_path / "dev.json").write_text(file)
    with pytest.raises(InvalidInput, match="is not set"):
        Settings.load()


SECRETS = {
    "database_url": "postgresql://u:hunter2@h/d?sslpassword=hunter2",
    "redis_url": "redis://:hun%2Fter2@h",
    "secret_key": "sesame,hunter2",
}


@pytest.mark.parametrize("given", [Settings(**SECRETS), Settings().model_copy(update=SECRETS)])
def test_settings_show_no_secret(given: Settings) -> None:
    kept = Settings(**given.model_dump()).model_dump()
    for shown in (
        repr(given),
        str(given),
        f"{[given]}",
        given.model_dump_json(),
        str(given.model_dump(mode="json")),
        str(kept),
    ):
        assert not any(word in shown for word in ("hunter2", "ter2", "sesame"))
        assert "postgresql://u:***@h/d" in shown


def test_settings_hold_what_they_do_not_show() -> None:
    settings = Settings(**SECRETS)
    assert {name: getattr(settings, name) for name in SECRETS} == SECRETS
    assert Settings(**settings.model_dump()) == settings
    assert f"{settings.secret_key}" == "sesame,hunter2"


def test_an_error_in_settings_shows_no_secret() -> None:
    with pytest.raises(ValidationError) as caught:
        Settings(secret_key=["hunter2"], pool_size="hunter2")  # type: ignore[arg-type]
    assert "hunter2" not in str(caught.value)
    with pytest.raises(InvalidInput) as refused:
        Settings.load(**SECRETS, pool_size="hunter2")
    assert "hunter2" not in str(refused.value)


def test_settings_do_not_change() -> None:
    settings = Settings(database_url=DATABASE, redis_url=REDIS)
    with pytest.raises(ValidationError):
        settings.queue = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("AGENT_TASKS_LEASE_SECOND", "AGENT_TASKS_LEASE_SECONDS"),
        ("AGENT_TASKS_DATABSE_URL", "AGENT_TASKS_DATABASE_URL"),
        ("AGENT_TASKS_SOMETHING_ELSE", ""),
    ],
)
def test_a_variable_that_is_no_setting_is_told_of_once_with_the_nearest_that_is_one(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str, nearest: str
) -> None:
    monkeypatch.setenv("AGENT_TASKS_DATABASE_URL", "postgresql://h/db")
    monkeypatch.setenv("AGENT_TASKS_REDIS_URL", "redis://h/0")
    monkeypatch.setenv(name, "7")
    settings_module._warned.discard(name)
    for _ in range(2):
        Settings.load()
    (message,) = [record.getMessage() for record in caplog.records if name in record.getMessage()]
    assert (f"did you mean {nearest}?" in message) == bool(nearest)


def test_what_is_no_setting_of_a_deployment_and_what_tests_read_is_not_misspelt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("AGENT_TASKS_DATA_DIR", "AGENT_TASKS_TEST_REDIS_URL", "agent_tasks_queue"):
        monkeypatch.setenv(name, "7")
    monkeypatch.setenv("AGENT_TASKS_EMPTY", "")
    assert settings_module.misspelt() == []
