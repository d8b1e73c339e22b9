"""*Tasks*: what is done to all that a filter finds, and all of it in a table."""

import csv
import io
import re

from tests.database import query
from tests.eventually import eventually
from tests.gateway import EVERYTHING, Gateway
from tests.gateway.console.people import ANA, person, waiting


def test_all_that_a_filter_finds_is_signalled_moved_and_given_another_priority(gateway: Gateway) -> None:
    tasks = [waiting(gateway, metadata={"batch": 8}) for _ in range(2)]
    other = waiting(gateway)
    ana = person(gateway)
    page = ana.sees("/tasks?metadata=batch%3D8")
    asked = {"metadata": "batch=8"}
    for operation, fields, says in (
        ("signal", {"name": "approval", "payload": '{"ok": '}, "The payload is not valid JSON"),
        ("prioritise", {"priority": "ten"}, "priority must be a whole number"),
        ("explode", {}, "operation must be one of"),
    ):
        refused = ana.sends("/bulk", page, operation=operation, **fields, **asked)
        assert (refused.status_code, says in refused.text) == (422, True)
    for operation, fields in (("move", {"to": "slow"}), ("prioritise", {"priority": "9"})):
        counted = ana.sends("/bulk", page, operation=operation, **fields, **asked)
        assert f"{operation.capitalize()} 2 tasks?" in counted.text
        hidden = re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', counted.text.partition("id=")[2])
        assert set(fields.items()) <= set(hidden)
        assert ana.sends("/bulk", page, operation=operation, sure="yes", **fields, **asked).status_code == 303
    sql = "SELECT queue, priority FROM agent_tasks.tasks WHERE id = ANY (%s)"
    changed = [{"queue": "slow", "priority": 9}] * 2
    eventually(lambda: query(gateway.client, sql, [each.id for each in tasks]) == changed)
    reader = person(gateway, scopes=["tasks:read", "tasks:write"])
    fields = {"name": "approval", "payload": '{"ok": true}', "operation": "signal", **asked}
    assert reader.sends("/bulk", page, **fields).status_code == 403
    assert ana.sends("/bulk", page, sure="yes", **fields).status_code == 303
    eventually(lambda: all(each.read().waiting_for is None for each in tasks))
    assert other.read().status == "waiting"
    assert other.read().queue != "slow"
    for each in tasks:
        each.cancel()


def test_only_operators_purge_what_a_filter_finds(gateway: Gateway) -> None:
    task = waiting(gateway, metadata={"batch": 9})
    task.cancel()
    root = person(gateway, "root", "ops", ["admin"])
    assert "Purge …" not in person(gateway).sees("/tasks?metadata=batch%3D9")
    page = root.sees("/tasks?metadata=batch%3D9")
    assert "Purge …" in page
    asked = {"metadata": "batch=9", "operation": "purge"}
    assert "deleted, for good" in root.sends("/bulk", page, **asked).text
    assert str(task.id) in root.sees("/tasks?metadata=batch%3D9")
    assert root.sends("/bulk", page, sure="yes", **asked).status_code == 303
    eventually(lambda: str(task.id) not in root.sees("/tasks?metadata=batch%3D9"))


def test_a_queue_is_paused_where_tasks_are_narrowed_to_it_and_unpaused_in_now(gateway: Gateway) -> None:
    boss = person(gateway, "boss", "still", [*EVERYTHING, "tasks:all"])
    page = boss.sees("/tasks?queue=heavy")
    assert "Pause the queue heavy" in page
    fields = {"kind": "queue", "name": "heavy", "reason": "<i>hot</i>"}
    assert boss.sends("/pauses", page, lever="pause", **fields).headers["location"] == "/console?said=pause_all"
    now = boss.sees()
    assert "&lt;i&gt;hot&lt;/i&gt;" in now.partition(">Paused<")[2]
    assert person(gateway, "eve", "evil").sends("/pauses", now, lever="unpause", **fields).status_code == 403
    hidden = dict(re.findall(r'type="hidden" name="([a-z]+)" value="([^"]*)"', now.partition(">Paused<")[2]))
    assert boss.sends("/pauses", now, **hidden).headers["location"] == "/console?said=unpause_all"
    assert ">Paused<" not in boss.sees()
    assert boss.sends("/pauses", now, lever="explode", **fields).status_code == 422
    assert [(each.operation, each.target) for each in gateway.client.audit(tenant="still", limit=2)] == [
        ("unpause", "heavy"),
        ("pause", "heavy"),
    ]


def test_a_table_has_all_of_what_is_found_on_however_many_pages(gateway: Gateway) -> None:
    identity = ANA.model_copy(update={"tenant": "tabular"})
    submitted = gateway.client.submit_many(
        "tallier", [{"to": n} for n in range(1_050)], queue="never", identity=identity
    )
    ana = person(gateway, tenant="tabular")
    answer = ana.http.get("/console/tasks.csv?queue=never")
    assert answer.headers["cache-control"] == "no-store"
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["id"] for row in rows] == [str(task.id) for task in reversed(submitted)]
    assert person(gateway).http.get("/console/tasks.csv?queue=never").text.count("\n") == 1
    assert ana.http.get("/console/tasks.csv?created_after=yesterday").status_code == 422
    page = ana.sees("/tasks?queue=never")
    assert page.count('<tr id="task-') == 50
    ana.sends("/bulk", page, queue="never", operation="cancel", sure="yes")


def test_each_row_has_its_age_and_how_long_it_took(gateway: Gateway) -> None:
    identity = ANA.model_copy(update={"tenant": "aged"})
    gateway.client.submit("tallier", {"to": 0}, identity=identity).wait(20)
    row = person(gateway, tenant="aged").sees("/tasks").partition('<tr id="task-')[2].partition("</tr>")[0]
    assert "data-age" in row
    assert re.search(r"took [0-9.]+ (ms|s)", row)
