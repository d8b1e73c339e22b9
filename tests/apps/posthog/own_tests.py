from .celery import app, redis_heartbeat
from .tasks.usage import usage_report


def test_a_chain_of_urgent_tasks_comes_to_its_end():
    assert usage_report(4, "acme").get(timeout=20) == "acme: 40"


def test_their_signals_are_sent_before_and_after_a_task():
    assert redis_heartbeat.delay().get(timeout=20) == {"kind": "celery", "id": redis_heartbeat.name}


def test_their_periodic_tasks_are_there():
    assert {"10 sec heartbeat", "weekly"} <= set(app.conf.beat_schedule)
