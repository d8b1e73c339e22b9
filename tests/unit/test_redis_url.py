"""URLs of Redis: which are understood, what they are for Celery, and that all others are refused at the start."""

from typing import Any

import pytest
import redis

from agent_tasks import InvalidInput, Settings
from agent_tasks.doorbell.redis_url import RedisUrl, is_full

POSTGRES = "postgresql://h/d"


def options(url: str) -> dict[str, Any]:
    return RedisUrl(url).client().connection_pool.connection_kwargs


@pytest.mark.parametrize(
    ("url", "broker"),
    [
        ("redis://h", "redis://h/0"),
        ("valkey://ana:p%40@h:1/2", "redis://ana:p%40@h:1/2"),
        ("redis://h/?db=3", "redis://h/3"),
        ("rediss://h:1/2", "rediss://h:1/2?ssl_cert_reqs=required"),
        ("rediss://h/0?ssl_cert_reqs=none", "rediss://h/0?ssl_cert_reqs=none"),
        ("rediss://h/0?ssl_cert_reqs=CERT_NONE&ssl_keyfile=k", "rediss://h/0?ssl_keyfile=k&ssl_cert_reqs=none"),
        ("unix:///run/r.sock", "redis+socket:///run/r.sock?virtual_host=0"),
        ("unix://:p%40@/run/r.sock?db=4", "redis+socket://:p%40@/run/r.sock?virtual_host=4"),
        ("redis+socket:///run/r.sock?virtual_host=5", "redis+socket:///run/r.sock?virtual_host=5"),
        ("sentinel://a,b:2/3?master_name=m", "sentinel://a:26379/3;sentinel://b:2/3"),
        ("sentinel://:p@a:1;sentinel://b:2/3?master_name=m", "sentinel://:p@a:1/3;sentinel://:p@b:2/3"),
    ],
)
def test_each_form_is_understood_and_is_one_of_celerys(url: str, broker: str) -> None:
    assert RedisUrl(url).broker == broker


def test_both_clients_reach_the_same_database() -> None:
    assert options("redis://h/?db=3")["db"] == 3
    unix = options("unix://:p%40@/run/r.sock?db=4")
    assert (unix["db"], unix["path"], unix["password"]) == (4, "/run/r.sock", "p@")


def test_sentinels_are_asked_for_the_master() -> None:
    url = RedisUrl("sentinel://a:1,b:2/3?master_name=m")
    assert url.transport_options["master_name"] == "m"
    assert "service=m(master)" in repr(url.client().connection_pool)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("amqp://guest:hunter2@h", "amqp:// is no URL of Redis"),
        ("h:6379", "no URL of Redis"),
        ("redis://h/x", "must be a number"),
        ("redis://:hun/ter2@h", "must be a number"),
        ("redis://h:port/0", "must be a number"),
        ("unix://", "no path"),
        ("rediss://h/0?ssl_cert_reqs=CERT_SOMETIMES", "ssl_cert_reqs must be required, optional or none"),
        ("sentinel://a:1/0", "master_name"),
        ("sentinel:///0?master_name=m", "sentinel"),
    ],
)
def test_what_cannot_serve_is_refused_and_no_password_is_shown(
    monkeypatch: pytest.MonkeyPatch, url: str, said: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", POSTGRES)
    monkeypatch.setenv("REDIS_URL", url)
    with pytest.raises(InvalidInput, match=said) as refused:
        Settings.load()
    assert refused.value.details["field"] == "REDIS_URL"
    assert "ter2" not in str(refused.value)


@pytest.mark.parametrize(
    "url", ["mysql://h/d", "host=h dbname=d", "postgresql://a,b,c/d?port=1,2", "postgresql://u:a%zz@h"]
)
def test_what_is_no_url_of_postgres_is_refused(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setenv("REDIS_URL", "redis://h")
    with pytest.raises(InvalidInput) as refused:
        Settings.load()
    assert refused.value.details["field"] == "DATABASE_URL"
    assert "zz" not in str(refused.value)


FULL = "command not allowed when used memory > 'maxmemory'."


@pytest.mark.parametrize("text", [f"OOM {FULL}", f"Command # 1 (SADD a b) of pipeline caused error: {FULL}"])
def test_a_redis_without_memory_is_known_by_what_it_says(text: str) -> None:
    assert is_full(redis.ResponseError(text))
    assert not is_full(redis.ResponseError("WRONGTYPE"))
    assert not is_full(redis.ConnectionError(text))
