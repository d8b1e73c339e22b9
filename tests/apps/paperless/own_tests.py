import os
from pathlib import Path

import redis

from tests.eventually import eventually

from .celery import app
from .documents.tasks import ConsumableDocument, consume_file

FOLDER = Path(os.environ["TEAM_FOLDER"])


def test_each_document_is_consumed_by_a_process_of_its_own_and_tracked():
    names = ["one.pdf", "two.pdf"]
    sent = [consume_file.delay(ConsumableDocument(Path("/in") / name)).id for name in names]

    def ended() -> bool:
        lines = (FOLDER / "tracked").read_text().splitlines()
        return all(f"success consume_file {each}" in lines for each in sent)

    eventually(ended)
    lines = (FOLDER / "tracked").read_text().splitlines()
    for each in sent:
        assert [line.split()[0] for line in lines if line.endswith(each)] == ["pending", "started", "success"]
    pids = {(FOLDER / f"{name}.archived").read_text() for name in names}
    assert len(pids) == 2


def test_all_keys_have_the_prefix():
    app.send_task("nobody.has.this", queue="of nobody")
    with redis.Redis.from_url(app.conf.broker_url) as client:
        assert client.exists("paperless:of nobody")
        assert not client.exists("of nobody")
