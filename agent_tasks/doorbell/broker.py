"""The broker: which way bells go to it, for the settings in force and the app that is installed."""

from collections.abc import Callable
from functools import partial
from typing import Any

from agent_tasks.doorbell.bells import Bells
from agent_tasks.doorbell.breaker import Breaker
from agent_tasks.doorbell.installed import Installed, installed
from agent_tasks.doorbell.line import Line, bounded
from agent_tasks.doorbell.raw_bells import RawBells
from agent_tasks.doorbell.redis_url import remedy
from agent_tasks.settings import Settings
from agent_tasks.task.secret_text import SecretUrl


def open_bells(settings: Settings, key: Callable[[], bytes], store: Line | None) -> Bells:
    """Return the way to the broker. It connects to nothing.

    `store` is the line to the Redis of the mirror, which bells share if it is the broker. Raises InvalidInput where
    AGENT_TASKS_APP cannot be used.
    """
    ours = _team_app(settings)
    if ours is None and store is not None and settings.broker_url in ("", settings.redis_url):
        return RawBells(store, key, why="the broker is the Redis of AGENT_TASKS_REDIS_URL")
    from agent_tasks.doorbell.celery_app import make_app  # and here, since what only submits needs no Celery
    from agent_tasks.doorbell.fast_path import client_of, lists_of, refusal, same_redis
    from agent_tasks.doorbell.producer_bells import ProducerBells
    from agent_tasks.doorbell.queues import shared_queues

    app: Any = make_app("bells", settings, [settings.queue]) if ours is None else ours.app
    if (why_not := refusal(app)) is not None:
        return ProducerBells(app, key, why_not, shared=shared_queues(app) if ours is not None else ())
    connection = app.connection_for_write()
    client = client_of(connection, **bounded())
    whose = "AGENT_TASKS_BROKER_URL" if ours is None else f"the app {app.main}"
    url = whose if ours is None else f"the broker's URL of {whose}"
    if store is not None and same_redis(client, store.client):
        line = store
    else:
        line = Line(client, Breaker("the broker", to_do=partial(remedy, url=url)))
    return RawBells(line, key, lists_of(connection), f"the broker of {whose} is a Redis, and its options allow it")


def broker_url(settings: Settings) -> str:
    """Return the URL of the broker without its password; raises as `open_bells`."""
    ours = _team_app(settings)
    if ours is None:
        return SecretUrl(settings.broker_url or settings.redis_url).masked
    return str(ours.app.connection_for_write().as_uri())


def _team_app(settings: Settings) -> Installed | None:
    if (ours := installed()) is not None or not settings.app:
        return ours
    from agent_tasks.doorbell.team_app import team_app

    return team_app(settings)
