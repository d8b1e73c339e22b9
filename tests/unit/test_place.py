"""Where bells go is said alike by all that ring at one place, and otherwise by all others."""

from typing import Any

import pytest
import redis
from celery import Celery
from kombu.connection import Connection

from agent_tasks.doorbell.lists import OURS, Lists
from agent_tasks.doorbell.place import of_connection, of_redis
from agent_tasks.doorbell.producer_bells import ProducerBells
from agent_tasks.doorbell.redis_url import RedisUrl


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("redis://queue", "redis://queue:6379/0"),
        ("redis://ana:geheim@queue:6380/3", "redis://queue:6380/3"),
        ("rediss://:geheim@queue/3", "redis://queue:6379/3"),
        ("redis://localhost:6379/0", "redis://127.0.0.1:6379/0"),
        ("unix:///run/redis.sock?db=2", "redis+socket:///run/redis.sock/2"),
    ],
)
def test_a_redis_is_its_server_and_database_without_secrets(url: str, place: str) -> None:
    assert of_redis(redis.Redis.from_url(url), OURS) == place


def test_sentinels_are_one_place_in_any_order() -> None:
    one, other = (RedisUrl(f"sentinel://{hosts}/0?master_name=main").client() for hosts in ("a:1,b:2", "b:2,a:1"))
    assert of_redis(one, OURS) == of_redis(other, OURS) == "sentinel://a:1,b:2/main/0"


def test_lists_of_other_names_are_another_place() -> None:
    client = redis.Redis.from_url("redis://queue")
    named = Lists("shop:", ":", (0, 5))
    assert of_redis(client, named) == (
        "redis://queue:6379/0 (global_keyprefix='shop:', sep=':', priority_steps=[0, 5])"
    )


@pytest.mark.parametrize(
    ("url", "options", "place"),
    [
        ("amqp://ana:geheim@rabbit//", {}, "amqp://rabbit:5672/"),
        ("amqp://rabbit:5673/shop", {}, "amqp://rabbit:5673/shop"),
        ("amqp://ana:geheim@b//;amqp://ana:geheim@a:5673//", {}, "amqp://a:5673,b:5672/"),
        ("sqla+postgresql://ana:geheim@db:5432/shop?password=geheim", {}, "sql+postgresql://db:5432/shop/"),
        ("memory://", {"queue_name_prefix": "shop-", "secret": "geheim"}, "(queue_name_prefix='shop-')"),
    ],
)
def test_another_broker_is_its_servers_and_virtual_host_without_secrets(url: str, options: Any, place: str) -> None:
    found = of_connection(Connection(url, transport_options=options))
    assert place in found
    assert "geheim" not in found


def test_the_app_producer_says_of_a_redis_what_the_fast_path_says() -> None:
    app = Celery(broker="redis://:geheim@queue:6380/3", set_as_current=False)
    app.conf.broker_transport_options = {"global_keyprefix": "shop:", "unheard_of": True}
    client = redis.Redis.from_url("redis://queue:6380/3")
    assert ProducerBells(app, lambda: b"", "a test").place == of_redis(client, Lists("shop:"))
