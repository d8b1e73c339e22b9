"""*Now*: what needs somebody comes first, and each number is that of the page behind it."""

import html
import json
import re

from agent_tasks import AlertRule
from tests.eventually import eventually
from tests.gateway import Gateway
from tests.gateway.console.people import ANA, Person, person, waiting

MANY = {"scopes": ["tasks:read", "tasks:all"]}


def tile(who: Person, word: str) -> tuple[int, str]:
    """The number of a tile, and where it leads."""
    found = re.search(rf'<a class="tile[^"]*" href="/console([^"]*)"><b>([0-9,]+)\+?</b> {word}<', who.sees())
    assert found is not None, word
    return int(found[2].replace(",", "")), html.unescape(found[1])


def charts(who: Person) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for data in re.findall(r'data-chart="([^"]*)"', who.sees()):
        found |= {one["label"]: one["values"] for one in json.loads(html.unescape(data))["series"]}
    return found


def test_an_alert_that_fires_is_told_first_to_who_may_see_it_with_a_way_to_its_task(gateway: Gateway) -> None:
    task = waiting(gateway, "alerts", identity=ANA.model_copy(update={"tenant": "alarmed"}))
    gateway.client.put_alert("long <i>waits</i>", AlertRule("waiting", threshold=1), tenant="alarmed")
    gateway.client.put_alert("spend", AlertRule("spend", threshold=1e6), tenant="alarmed")
    boss = person(gateway, "boss", "alarmed", MANY["scopes"])
    eventually(lambda: ">Alerts<" in boss.sees(), 40)
    part = boss.sees().partition(">Alerts<")[2].partition("</section>")[0]
    assert "long &lt;i&gt;waits&lt;/i&gt;: task" in part
    assert f"/console/tasks/{task.id}" in part
    assert "1 more is quiet" in part
    for other in (person(gateway), person(gateway, "ana", "alarmed")):
        assert ">Alerts<" not in other.sees()
    gateway.client.remove_alert("long <i>waits</i>", tenant="alarmed")
    assert ">Alerts<" not in boss.sees()


def test_a_step_that_no_worker_takes_is_told_with_what_to_do(gateway: Gateway) -> None:
    ana = person(gateway, tenant="stuck")
    identity = ANA.model_copy(update={"tenant": "stuck"})
    task = gateway.client.submit("tallier", {"to": 1}, identity=identity, queue="nowhere")
    page = ana.sees()
    assert "1 pending task</a> of tallier.up" in page
    assert "No worker that has tallier.up takes from the queue nowhere." in page
    href = re.search(r'href="/console(/tasks\?[^"]*queue=nowhere[^"]*)">1 pending', page)
    assert href is not None
    assert str(task.id) in ana.sees(html.unescape(href[1]))
    assert "nowhere" not in person(gateway).sees()
    task.cancel()
    assert "nowhere" not in ana.sees()


def test_the_number_of_each_tile_is_that_of_the_page_behind_it(gateway: Gateway) -> None:
    ana = person(gateway, tenant="tiles")
    identity = ANA.model_copy(update={"tenant": "tiles"})
    assert tile(ana, "failed in an hour")[0] == 0
    for _ in range(2):
        gateway.client.submit("faulty", identity=identity).wait(20)
    parked = waiting(gateway, identity=identity)
    for word, number in (("failed in an hour", 2), ("waiting", 1), ("running", 0)):
        count, there = tile(ana, word)
        assert count == number
        assert ana.sees(there).count('<tr id="task-') == number
    parked.cancel()
    assert tile(ana, "failed in an hour")[0] == 2


def test_the_charts_of_the_day_show_what_was_submitted_is_under_way_and_was_spent(gateway: Gateway) -> None:
    ana = person(gateway, tenant="charted")
    identity = ANA.model_copy(update={"tenant": "charted"})
    for _ in range(3):
        gateway.client.submit("tallier", {"to": 1}, identity=identity).wait(20)
    waiting(gateway, identity=identity)
    found = charts(ana)
    assert (sum(found["submitted"]), sum(found["completed"]), sum(found["not completed"])) == (4, 3, 0)
    assert (found["not ended"][0], found["not ended"][-1]) == (0, 1)
    assert 0.1 < sum(found["US dollars"]) < 0.2
