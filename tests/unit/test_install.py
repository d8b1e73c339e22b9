"""`install(app)` as it is called: what it needs, what it refuses, and what it leaves alone."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from celery import Celery, Task, signals
from kombu.entity import Queue

import agent_tasks
from agent_tasks import AgentTasks, InvalidInput, Settings
from agent_tasks.celery import install
from agent_tasks.doorbell.celery_app import make_app
from agent_tasks.doorbell.installed import installed, set_installed
from agent_tasks.doorbell.routes import routed_queue
from agent_tasks.doorbell.step_task import StepTask, unlimited
from agent_tasks.engine.process.pools import check_pool

install_module = sys.modules[install.__module__]
SETTINGS = Settings(database_url="postgresql://nobody@localhost:1/none", redis_url="redis://localhost:1/0")


@pytest.fixture
def app() -> Iterator[Any]:
    before = installed()
    set_installed(None)
    with Celery("theirs", broker="redis://localhost:1/0", set_as_current=False) as app:
        yield app
    set_installed(before)


def test_it_needs_no_setting_and_no_server_and_loads_no_engine() -> None:
    program = """
import sys
from celery import Celery
from agent_tasks.celery import install
app = Celery("theirs", broker="redis://localhost:1/0")
before = dict(app.conf)
install(app)
assert dict(app.conf) == before
assert not app.finalized
loaded = [name for name in sys.modules if name.startswith(("agent_tasks.engine", "agent_tasks.sweeps"))]
assert not loaded, loaded
"""
    subprocess.run([sys.executable, "-c", program], env={"PATH": ""}, check=True)


def test_twice_on_one_app_changes_nothing_and_says_so(app: Any, caplog: pytest.LogCaptureFixture) -> None:
    install(app, SETTINGS)
    first = installed()
    with caplog.at_level("INFO", "agent_tasks"):
        install(app, SETTINGS.model_copy())
    assert installed() is first
    assert ["this call changes nothing" in record.message for record in caplog.records] == [True]


def test_other_settings_are_refused(app: Any) -> None:
    install(app)
    with pytest.raises(InvalidInput, match="with other settings: call it once"):
        install(app, SETTINGS)


def test_a_second_app_is_refused_by_name(app: Any) -> None:
    install(app)
    with (
        Celery("another", set_as_current=False) as another,
        pytest.raises(InvalidInput, match=r"'theirs' before.*not on 'another'"),
    ):
        install(another)


def made_by_a_factory() -> Any:
    app = Celery("made", broker="redis://localhost:1/0", set_as_current=False)
    install(app)
    return app


def app_of_this_process() -> Any:
    ours = installed()
    return None if ours is None else ours.app


def test_an_app_that_a_factory_makes_again_takes_the_place_of_the_one_before(app: Any) -> None:
    assert app_of_this_process() is None
    apps = [made_by_a_factory() for _ in range(3)]
    assert app_of_this_process() is apps[-1]
    with pytest.raises(InvalidInput, match="one process serves one app"):
        install(app)


def test_no_app_takes_the_place_of_one_whose_worker_has_begun(app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    first = made_by_a_factory()
    monkeypatch.setattr(install_module, "_begun", False)
    monkeypatch.setattr("agent_tasks.celery.worker.begin", lambda *_: None)
    signals.celeryd_init.send(sender="w@h", instance=SimpleNamespace(app=first), conf=first.conf, options={})
    with pytest.raises(InvalidInput, match="one process serves one app"):
        made_by_a_factory()
    assert app_of_this_process() is first


def test_a_client_that_has_rung_before_rings_by_the_app_that_is_installed_then(app: Any) -> None:
    app.conf.broker_transport_options = {"global_keyprefix": "shop:"}
    with closing(AgentTasks(SETTINGS)) as client, closing(AgentTasks(SETTINGS)) as other:
        before: Any = client.bells
        install(app)
        after: Any = client.bells
        assert (before.has_prefix, after.has_prefix) == (False, True)
        assert "bells" not in vars(other)


def test_the_default_client_that_was_there_before_has_the_settings_that_were_given(
    app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent_tasks, "_default", AgentTasks(SETTINGS.model_copy(update={"queue": "others"})))
    install(app, SETTINGS)
    assert agent_tasks.default().settings is SETTINGS
    same = agent_tasks.default()
    set_installed(None)
    install(app, SETTINGS)
    assert agent_tasks.default() is same


def test_an_app_whose_worker_has_started_is_refused(app: Any) -> None:
    app.use_fast_trace_task = True  # as Celery sets it when a worker starts
    with pytest.raises(InvalidInput, match="after the app's worker has started: call it where the app is made"):
        install(app)
    assert installed() is None


@pytest.mark.parametrize("wrong", [None, "shop", Celery])
def test_what_is_no_app_is_refused(app: Any, wrong: Any) -> None:
    with pytest.raises(InvalidInput, match="app must be your Celery app"):
        install(wrong)


def test_settings_of_another_kind_are_refused(app: Any) -> None:
    with pytest.raises(InvalidInput, match="settings must be Settings"):
        install(app, {"queue": "agents"})  # type: ignore[arg-type]


def test_the_current_app_stands_for_the_app_itself(app: Any) -> None:
    from celery import current_app

    before = current_app._get_current_object()
    app.set_current()
    try:
        install(current_app)
        install(app)
        assert installed() is not None
    finally:
        before.set_current()
    found = installed()
    assert found is not None
    assert found.app is app


def test_the_default_client_has_the_settings_that_were_given(app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent_tasks, "_default", None)
    install(app, SETTINGS)
    assert agent_tasks.default().settings is SETTINGS


def test_the_module_that_is_imported_is_the_one_that_is_noted_not_a_function_that_makes_the_app() -> None:
    program = """
import sys, types
factory, shop = types.ModuleType("factory"), types.ModuleType("shop")
exec('''
from celery import Celery
from agent_tasks.celery import install
def make():
    app = Celery("theirs")
    install(app)
''', factory.__dict__)
sys.modules["factory"] = factory
exec("from factory import make; make()", shop.__dict__)
from agent_tasks.doorbell.celery_app import make_app
from agent_tasks.doorbell.installed import installed
print(installed().module)
"""
    said = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert said.stdout == "shop\n"


@pytest.mark.parametrize(
    ("routes", "queue"),
    [
        (None, None),
        ({"orders.*": {"queue": "shop"}}, "shop"),
        ({"orders.*": "shop"}, "shop"),
        ({"orders.bill": {"queue": Queue("shop")}}, "shop"),
        ({"orders.*": {"exchange": "shop", "routing_key": "shop"}}, None),
        ({"mail.*": {"queue": "mail"}}, None),
        ([lambda name, *_, **__: {"queue": f"for {name}"}], "for orders.bill"),
        (lambda name, *_, **__: None, None),
    ],
)
def test_the_routes_of_the_app_are_asked_for_a_step(app: Any, routes: Any, queue: str | None) -> None:
    app.conf.update(task_routes=routes, task_create_missing_queues=False, task_queues=[Queue("celery")])
    assert routed_queue("orders.bill") is None
    install(app)
    assert routed_queue("orders.bill") == queue


def test_a_steps_task_has_its_own_options_whatever_the_app_has() -> None:
    class Base(Task):
        autoretry_for = (Exception,)
        abstract = True

    with Celery("theirs", set_as_current=False, task_cls=Base) as app:
        app.conf.update(
            task_acks_late=True,
            task_reject_on_worker_lost=True,
            task_time_limit=3,
            task_soft_time_limit=2,
            task_default_rate_limit="1/m",
            task_annotations={"*": {"rate_limit": "2/m", "acks_late": True, "time_limit": 1}},
            task_ignore_result=False,
            task_serializer="pickle",
            task_track_started=True,
            task_store_eager_result=True,
            task_store_errors_even_if_ignored=True,
            task_send_sent_event=True,
        )

        def deliver(task: Any) -> None: ...

        task: Any = app.task(base=StepTask, name="orders.bill", bind=True, shared=False)(deliver)
        assert task.name == "orders.bill"
        assert not isinstance(task, Base)
        assert (task.acks_late, task.ignore_result, task.track_started, task.send_events) == (False, True, False, False)
        assert (task.time_limit, task.soft_time_limit, task.rate_limit) == (None, None, None)
        for option in ("reject_on_worker_lost", "store_eager_result", "store_errors_even_if_ignored"):
            assert not getattr(task, option), option
        assert task.serializer == "json"
        assert not hasattr(task, "autoretry_for")


def test_where_a_worker_limits_all_its_tasks_a_step_has_a_limit_that_never_comes() -> None:
    assert unlimited(None, None) == {}
    assert all(limit > 5 * 365 * 86_400 for limit in unlimited(None, 2).values())


@pytest.mark.parametrize(
    ("pool", "conf", "said"),
    [
        ("prefork", {}, None),
        ("processes", {}, None),
        ("threads", {}, None),
        ("solo", {}, "its pool is solo: start it with -P prefork"),
        ("eventlet", {}, "its pool is eventlet: start it with -P prefork"),
        ("gevent", {}, "gevent has not patched this process: name the pool on the command line"),
        ("prefork", {"worker_pool_start_method": "spawn"}, "leave out worker_pool_start_method"),
    ],
)
def test_a_pool_in_which_steps_cannot_run_is_refused_with_the_reason(
    pool: str, conf: dict[str, Any], said: str | None
) -> None:
    with Celery(set_as_current=False) as app:
        app.conf.update(worker_pool="solo", **conf)
        if said is None:
            check_pool(app.conf, {"pool": pool})
        else:
            with pytest.raises(InvalidInput, match=said):
                check_pool(app.conf, {"pool": pool})


def test_processes_of_ours_ring_by_the_broker_of_an_app_whose_settings_have_a_namespace(app: Any) -> None:
    class Project:
        CELERY_BROKER_URL = "redis://elsewhere:6380/4"
        CELERY_BROKER_TRANSPORT_OPTIONS: ClassVar = {"global_keyprefix": "shop:"}

    app.config_from_object(Project, namespace="CELERY")
    install(app)
    ours = make_app("workers", SETTINGS, ["agents"])
    assert ours.connection_for_read().as_uri() == app.connection_for_read().as_uri()
    assert ours.conf.broker_transport_options["global_keyprefix"] == "shop:"
