import pytest

from .executor import app, execute_command, execute_failing


def test_a_command_goes_to_the_default_queue_and_its_result_to_the_database():
    sent = execute_command.apply_async(args=[["airflow", "tasks", "run"]], queue="default")
    assert sent.get(timeout=20) == "airflow tasks run"
    assert app.AsyncResult(sent.id).state == "SUCCESS"


def test_a_command_that_fails_is_known_to_have_failed():
    sent = execute_failing.delay()
    with pytest.raises(RuntimeError, match="Celery command failed"):
        sent.get(timeout=20)
