"""What of the package for Django needs no project."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from weakref import WeakSet

import pytest
from psycopg.conninfo import conninfo_to_dict

from agent_tasks.authoring import surroundings
from agent_tasks.contrib.django import connections
from agent_tasks.contrib.django.database import url_of
from agent_tasks.settings import Settings
from agent_tasks.store.route import Route, libpq_url

NAMED = {"ENGINE": "django.db.backends.postgresql", "NAME": "shop"}


@pytest.mark.parametrize(
    ("database", "meant"),
    [
        (NAMED, {"dbname": "shop"}),
        (
            {**NAMED, "USER": "ana@shop", "PASSWORD": "a:b/c?d#e% f", "HOST": "db.example", "PORT": 5433},
            {"dbname": "shop", "user": "ana@shop", "password": "a:b/c?d#e% f", "host": "db.example", "port": "5433"},
        ),
        ({**NAMED, "HOST": "/var/run/postgresql", "PORT": ""}, {"dbname": "shop", "host": "/var/run/postgresql"}),
        ({**NAMED, "HOST": "::1"}, {"dbname": "shop", "host": "::1"}),
        (
            {
                **NAMED,
                "HOST": "a,b",
                "PORT": "1,2",
                "OPTIONS": {"sslmode": "require", "pool": True, "isolation_level": 3},
            },
            {"dbname": "shop", "host": "a,b", "port": "1,2", "sslmode": "require"},
        ),
        ({"NAME": "", "OPTIONS": {"service": "shop"}}, {"service": "shop"}),
        (
            {**NAMED, "OPTIONS": {"options": "-c statement_timeout=5", "assume_role": "shop owner"}},
            {"dbname": "shop", "options": "-c statement_timeout=5 -c role=shop\\ owner"},
        ),
    ],
)
def test_a_database_of_djangos_is_reached_by_the_same_parameters(database: object, meant: object) -> None:
    url = url_of(database)  # type: ignore[arg-type]
    assert conninfo_to_dict(libpq_url(url)) == meant
    assert Settings(database_url=url, redis_url="").database_url == url


def test_its_password_is_shown_to_nobody() -> None:
    url = url_of({**NAMED, "USER": "ana", "PASSWORD": "s3cret@", "OPTIONS": {"sslpassword": "t0psecret"}})
    shown = repr(Settings(database_url=url, redis_url=""))
    assert "s3cret" not in shown
    assert "t0psecret" not in shown


def test_routes_of_one_place_lead_to_one_database() -> None:
    assert Route("postgresql://ana@db:5432/shop").place == Route("postgresql://ben@db:5432/shop?sslmode=require").place
    assert Route("postgresql://ana@db:5432/shop").place != Route("postgresql://ana@db:5432/desk").place
    assert Route("postgresql://ana@db:5432/shop").place != Route("postgresql://ana@db:5433/shop").place


def test_without_django_the_import_says_what_to_install() -> None:
    code = "import sys; sys.modules['django'] = None; import agent_tasks.contrib.django"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert "agent_tasks.contrib.django needs Django: pip install" in ran.stderr


def test_the_import_pulls_in_no_engine_and_no_broker() -> None:
    code = (
        "import sys, django.conf; django.conf.settings.configure(); import agent_tasks.contrib.django; "
        "print(*(name for name in sys.modules if name.startswith(('agent_tasks.engine', 'celery', 'typer'))))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout.strip() == ""


class _Connection(SimpleNamespace):
    """A connection of Django's that is not open."""

    connection, close_at = None, None
    __hash__: Any = object.__hash__


def test_a_connection_that_another_thread_makes_while_the_noted_ones_are_looked_at_is_noted_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, new = _Connection(), _Connection()
    threads: list[threading.Thread] = []

    class Noted(WeakSet[Any]):
        def __iter__(self) -> Iterator[Any]:
            for each in super().__iter__():
                thread = threading.Thread(target=connections.note_connection, args=(new,))
                thread.start()
                thread.join(0.2)
                threads.append(thread)
                yield each

    noted = Noted([first, third := _Connection()])
    monkeypatch.setattr(connections, "_elsewhere", noted)

    async def step() -> None:
        async with connections.kept_fresh_for_async():
            assert third in noted

    asyncio.run(step())
    for thread in threads:
        thread.join()
    assert new in WeakSet(WeakSet.__iter__(noted))


def test_a_manager_that_is_given_again_surrounds_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surroundings, "_plain", [])
    monkeypatch.setattr(surroundings, "_async", [])
    for _ in range(2):  # as an app's ready() does that is called again
        surroundings.surround(connections.kept_fresh)
        surroundings.surround_async(connections.kept_fresh_for_async)
    assert surroundings._plain == [connections.kept_fresh]
    assert surroundings._async == [connections.kept_fresh_for_async]
