"""Missed firings of cron: the latest so many reach as far back as croniter walks, without walking."""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from croniter import croniter

from agent_tasks.client import schedules
from agent_tasks.client.missed import reach_back

NOW = datetime(2026, 7, 15, 10, 7, 30, tzinfo=ZoneInfo("Europe/Berlin"))
LONG_AGO = NOW - timedelta(days=20_000)


@pytest.mark.parametrize("now", [NOW, NOW.replace(minute=0, second=0), NOW.replace(hour=0, minute=0, second=0)])
@pytest.mark.parametrize(
    "cron",
    [
        "* * * * *", "0 * * * *", "30 3 * * *", "*/5 1-3 * * 1-5", "0,59 3 * * *", "0 10 * * 0", "0 9 l * *",
        "15 9 * * 5#1", "15 9 * * L5", "0 0 13 * 5", "7 10 29 2 *", "0 12 * jan,jul mon", "0 0 1 * 7",
    ],
)  # fmt: skip
def test_it_is_where_a_walk_from_firing_to_firing_ends(cron: str, now: datetime) -> None:
    walk = croniter(cron, now)
    for most in range(1, 8):
        assert reach_back(cron, now, LONG_AGO, most) == walk.get_prev(datetime), most
    assert reach_back(cron, now, now - timedelta(seconds=1), 3) == now - timedelta(seconds=1)


def test_a_long_pause_is_not_walked_through(monkeypatch: pytest.MonkeyPatch) -> None:
    def walked(*args: Any, **options: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(croniter, "get_prev", walked)
    row: Any = {
        "cron": "0 * * * *", "every_seconds": None, "timezone": "UTC", "catch_up": "all", "now": NOW,
        "next_at": NOW.replace(minute=0, second=0) - timedelta(hours=1_500),
    }  # fmt: skip
    fires, next_at = schedules.following(row)
    assert (fires, next_at) == (True, NOW.replace(minute=0, second=0) - timedelta(hours=998))
