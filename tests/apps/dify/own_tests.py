import os
from pathlib import Path

from tests.eventually import eventually

from .app import app
from .tasks.documents import index_document
from .tasks.mail import send_mail


def test_a_task_runs_within_the_context_of_flask():
    assert index_document.delay("a page").get(timeout=20) == "a page of acme"


def test_a_result_that_is_ignored_is_not_kept():
    sent = send_mail.delay("ana")
    mail = Path(os.environ["TEAM_FOLDER"]) / "mail"
    eventually(lambda: mail.exists() and "ana of acme\n" in mail.read_text())
    assert not app.extensions["celery"].backend.client.exists(
        app.extensions["celery"].backend.get_key_for_task(sent.id)
    )
