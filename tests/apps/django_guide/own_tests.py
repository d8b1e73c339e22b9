from celery import chord, group

from .demoapp.tasks import add, xsum
from .proj import celery_app


def test_a_shared_task_is_found_and_runs():
    assert "tests.apps.django_guide.demoapp.tasks.add" in celery_app.tasks or celery_app.autodiscover_tasks() is None
    assert add.delay(2, 3).get(timeout=20) == 5


def test_a_group_and_a_chord_come_to_an_end():
    assert group(add.s(n, n) for n in range(3)).delay().get(timeout=20) == [0, 2, 4]
    assert chord([add.s(n, n) for n in range(3)])(xsum.s()).get(timeout=20) == 6
