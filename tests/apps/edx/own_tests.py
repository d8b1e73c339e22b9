from .lms import CELERY_APP
from .tasks import certify, grade


def test_the_router_gives_a_task_the_queue_of_high_priority():
    assert CELERY_APP.conf.task_compression == "gzip"
    assert grade.delay([1, 2]).get(timeout=20) == [3, "edx.lms.core.high"]


def test_a_retry_goes_where_tasks_without_a_queue_of_their_own_go():
    assert certify.delay("ana").get(timeout=20) == ["ana", 2, "edx.lms.core.default"]
