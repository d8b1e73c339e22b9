import os
from pathlib import Path

import pytest
import redis

from tests.eventually import eventually

from .app import app
from .tasks import add, dies_once, limits, stumbles, where, where_else

BASE = Path(os.environ["TEAM_FOLDER"]) / "base"


def test_a_task_runs_on_their_own_base():
    assert add.delay(2, 3).get(timeout=20) == 5
    expected = {f"{word} unusual.add" for word in ("called", "before", "success")}
    eventually(lambda: expected <= set(BASE.read_text().splitlines()))


def test_routes_and_priorities_are_theirs():
    assert where.delay().get(timeout=20) == ["unusual.fast", 5]
    assert where_else.delay().get(timeout=20) == ["unusual.slow", 5]
    assert where_else.apply_async(priority=0).get(timeout=20) == ["unusual.slow", 0]


def test_limits_come_from_their_settings_and_annotations():
    rate, times, *late = limits.delay().get(timeout=20)
    assert (rate, late) == ("50/s", [True, True])
    assert times in ([30, 20], [None, None])  # an older Celery limits a task without telling it


def test_a_task_whose_process_died_is_delivered_again():
    assert dies_once.delay("died").get(timeout=20) == "alive"


def test_their_base_retries_for_them():
    assert stumbles.delay().get(timeout=20) == 1


def test_it_runs_in_place_where_it_is_told_to(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(app.conf, "task_always_eager", True)
    assert add.delay(1, 1).get() == 2


@pytest.mark.skipif("TEAM_MASTER" in os.environ, reason="the keys are those of one Redis")
def test_messages_lie_where_the_prefix_and_the_separator_put_them():
    add.apply_async((1, 2), queue="unusual.parked", priority=9)
    with redis.Redis.from_url(app.conf.broker_url) as client:
        assert client.exists("unusual:unusual.parked::9")
