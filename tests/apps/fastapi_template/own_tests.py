from .core.celery_app import celery_app
from .main import app


def test_the_endpoint_sends_a_task_by_its_name_to_the_queue_of_its_route():
    (endpoint,) = [route.endpoint for route in app.routes if getattr(route, "path", "") == "/utils/test-celery/"]
    sent = endpoint(word="hello")
    assert celery_app.AsyncResult(sent["id"]).get(timeout=20) == "test task return hello"
