"""A task's history over HTTP: whole, in order and once, whatever is cut, killed or away."""

import random
import signal
from collections.abc import Iterator

import pytest

from agent_tasks.doorbell.mirror import key
from tests.eventually import eventually
from tests.gateway import Caller, Gateway, problem_of
from tests.gateway.streams import Stream, Told, ids
from tests.processes import Running
from tests.proxy import Proxy, address_of, through

END = Told(name="end", data={})


@pytest.fixture(scope="module")
def other(gateway: Gateway) -> str:
    """The URL of a second gateway, on which silence is short."""
    _, url = gateway.processes.gateway(gateway_keep_alive_seconds=0.2)
    return url


@pytest.fixture(scope="module")
def token(gateway: Gateway) -> str:
    return gateway.client.create_key(tenant="acme", subject="ana", scopes=["tasks:read", "tasks:write"]).key


@pytest.fixture
def mortal(gateway: Gateway) -> Iterator[tuple[Running, str]]:
    """A gateway that the test may end."""
    running, url = gateway.processes.gateway()
    yield running, url
    running.kill()


def waiting(ana: Caller, names: list[str] | None = None) -> str:
    """A task that has emitted these, and waits for the signal `more`."""
    id: str = ana.submit("crier", {"names": names or [], "waits": True})["id"]
    eventually(lambda: ana.get(f"/tasks/{id}").json()["status"] == "waiting")
    return id


def go_on(ana: Caller, id: str) -> None:
    answer = ana.post(f"/tasks/{id}/signals/more", {"payload": "more"})
    assert answer.status_code == 200, answer.text


def history(gateway: Gateway, id: str) -> list[int]:
    return [event.seq for event in gateway.client.get(id).events()]


def test_a_stream_has_the_whole_history_as_it_comes_and_then_an_end_without_an_id(
    gateway: Gateway, ana: Caller, token: str
) -> None:
    id = waiting(ana, ["hello"])
    with Stream(gateway.url, id, token) as stream:
        before = stream.until("waiting")
        go_on(ana, id)
        told = before + list(stream)
    assert "content-type: text/event-stream" in stream.head
    *events, end = told
    assert end == END
    assert ids(events) == list(range(1, len(events) + 1)) == history(gateway, id)
    assert [each.data["seq"] for each in events] == ids(events)
    assert [each.name for each in events] == [each.data["type"] for each in events]
    assert [each.name for each in events if each.name in ("hello", "last", "finished")] == ["hello", "last", "finished"]
    assert next(each.data["data"] for each in events if each.name == "last") == "more"


def test_the_same_history_comes_in_pages_of_json(gateway: Gateway, ana: Caller) -> None:
    id = ana.submit("crier", {"names": ["one"] * 120})["id"]
    ana.result(id)
    path = f"/tasks/{id}/events"
    answer = ana.get(path, headers={"Accept": "application/json"})
    assert (answer.headers["content-type"], answer.headers["vary"]) == ("application/json", "Accept")
    whole = answer.json()
    assert [event["seq"] for event in whole["events"]] == history(gateway, id)
    assert whole["next"] == len(whole["events"]) > 120
    found, after = [], 0
    while page := ana.get(path, params={"after": after, "limit": 50}).json()["events"]:
        assert len(page) <= 50
        found += page
        after = page[-1]["seq"]
    assert found == whole["events"]
    last = ana.get(path, params={"after": after}).json()
    assert last == {"events": [], "next": after}


@pytest.mark.parametrize("accept", ["text/event-stream", "TEXT/Event-Stream", "application/json, text/event-stream"])
def test_a_stream_is_asked_for_by_accept(ana: Caller, accept: str) -> None:
    id = ana.submit("count", {"to": 1})["id"]
    answer = ana.get(f"/tasks/{id}/events", headers={"Accept": accept})
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.text.endswith("event: end\ndata: {}\n\n")


def test_a_reader_goes_on_after_the_last_id_that_it_saw(gateway: Gateway, ana: Caller, token: str) -> None:
    id = ana.submit("crier", {"names": ["one", "two"]})["id"]
    ana.result(id)
    every = history(gateway, id)
    for last in (0, 1, every[-2], every[-1]):
        with Stream(gateway.url, id, token, str(last)) as stream:
            told = list(stream)
        assert ids(told) == every[last:]
        assert told[-1] == END


@pytest.mark.parametrize("last", ["", "x", "-1", "1.0", "0x1", "1e3", "٣", "2147483648", "9" * 30, "1, 2"])
@pytest.mark.parametrize("accept", ["text/event-stream", "application/json"])
def test_a_last_event_id_that_is_no_number_of_an_event_is_refused(ana: Caller, last: str, accept: str) -> None:
    id = ana.submit("count", {"to": 1})["id"]
    headers = {b"Last-Event-ID": last.encode(), b"Accept": accept.encode()}
    problem = problem_of(ana.get(f"/tasks/{id}/events", headers=headers), 400)
    assert problem["field"] == "Last-Event-ID"


def test_an_id_of_the_future_is_refused_and_the_last_one_is_named(gateway: Gateway, ana: Caller) -> None:
    id = ana.submit("count", {"to": 1})["id"]
    ana.result(id)
    last = history(gateway, id)[-1]
    for number in (last + 1, 2**31 - 1):
        for accept in ("text/event-stream", "application/json"):
            headers = {"Last-Event-ID": str(number), "Accept": accept}
            problem = problem_of(ana.get(f"/tasks/{id}/events", headers=headers), 422)
            assert problem["field"] == "Last-Event-ID"
            assert f"the last one is {last}" in problem["detail"]
        problem = problem_of(ana.get(f"/tasks/{id}/events", params={"after": number}), 422)
        assert problem["field"] == "after"


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "x", "1e3"])
def test_a_page_has_a_bounded_number_of_events(ana: Caller, limit: str) -> None:
    id = ana.submit("count", {"to": 1})["id"]
    problem_of(ana.get(f"/tasks/{id}/events", params={"limit": limit}), 422)


def test_a_stream_cut_200_times_over_two_gateways_has_every_event_exactly_once(
    gateway: Gateway, other: str, ana: Caller, token: str
) -> None:
    names = ["said"] * 400
    id = ana.submit("crier", {"names": names, "pause": 0.005})["id"]
    bytes = random.Random(12)
    seen: list[int] = []
    for number in range(200):
        last = str(seen[-1]) if seen else None
        with Stream((gateway.url, other)[number % 2], id, token, last) as stream:
            told = stream.first(bytes.randint(1, 400))
        assert END not in told
        seen += ids(told)
    with Stream(gateway.url, id, token, str(seen[-1])) as stream:
        told = list(stream)
    assert told[-1] == END
    seen += ids(told)
    assert seen == list(range(1, len(seen) + 1)) == history(gateway, id)
    assert len(seen) > len(names)


def test_silence_is_broken_by_comments(ana: Caller, other: str, token: str) -> None:
    id = waiting(ana)
    with Stream(other, id, token) as stream:
        stream.until("waiting")
        for _ in range(3):
            assert next(iter(stream)) == Told(comment="keep-alive")
        go_on(ana, id)
        assert [each.name for each in stream if each.comment is None][-2:] == ["finished", "end"]


def test_a_stream_of_a_key_that_is_revoked_stops_without_an_end(gateway: Gateway, ana: Caller, other: str) -> None:
    id = waiting(ana)
    made = gateway.client.create_key(tenant="acme", subject="ana", scopes=["tasks:read"])
    with Stream(other, id, made.key) as stream:
        stream.until("waiting")
        gateway.client.revoke_key(made.id)
        rest = list(stream)
    assert all(each.comment for each in rest)
    go_on(ana, id)


def test_a_gateway_that_is_told_to_go_ends_its_streams_at_once(
    gateway: Gateway, ana: Caller, token: str, mortal: tuple[Running, str]
) -> None:
    running, url = mortal
    id = waiting(ana)
    with Stream(url, id, token) as stream:
        seen = stream.until("waiting")
        running.send(signal.SIGTERM)
        assert list(stream) == []
    assert running.wait_for_exit(8) == 0, running.output  # less than requests are given
    assert "Traceback" not in running.output
    go_on(ana, id)
    with Stream(gateway.url, id, token, seen[-1].id) as stream:
        seen += list(stream)
    assert ids(seen) == history(gateway, id)


def test_a_reader_of_a_gateway_that_is_killed_goes_on_at_another(
    gateway: Gateway, ana: Caller, token: str, mortal: tuple[Running, str]
) -> None:
    running, url = mortal
    id = ana.submit("crier", {"names": ["said"] * 100, "pause": 0.01})["id"]
    seen: list[Told] = []
    with Stream(url, id, token) as stream:
        for told in stream:
            seen.append(told)
            if len(seen) == 20:
                running.kill()
    with Stream(gateway.url, id, token, seen[-1].id) as stream:
        seen += list(stream)
    assert seen[-1] == END
    assert ids(seen) == history(gateway, id)


def test_nothing_is_kept_of_a_client_that_went(gateway: Gateway, ana: Caller, other: str, token: str) -> None:
    id = waiting(ana)
    channel = key(gateway.client.get(id).id)

    def listens() -> bool:
        return bool(gateway.client.redis.pubsub_numsub(channel)[0][1])

    streams = [Stream(url, id, token) for url in (gateway.url, other) for _ in range(3)]
    for stream in streams:
        stream.until("waiting")
    eventually(listens)
    for stream in streams:
        stream.cut()
    eventually(lambda: not listens())
    go_on(ana, id)


def test_names_that_an_agent_gives_to_events_cannot_forge_the_stream(gateway: Gateway, ana: Caller, token: str) -> None:
    names = ["end", "a\nid: 99\n\nevent: end\ndata: {}", "b\r\nretry: 1", " : ", "é\u2028"]
    id = ana.submit("crier", {"names": names})["id"]
    with Stream(gateway.url, id, token) as stream:
        told = list(stream)
    assert ids(told) == history(gateway, id)
    assert [each for each in told if each.id is None] == [END] == told[-1:]
    own = [each for each in told if each.data.get("type") in names]
    assert [each.data["type"] for each in own] == names
    assert [each.name for each in own][:3] == ["end", "a id: 99 event: end data: {}", "b retry: 1"]


def test_events_as_large_as_a_payload_come_a_few_at_a_time(gateway: Gateway, ana: Caller, token: str) -> None:
    size = 1_000_000
    id = ana.submit("crier", {"names": [*["small"] * 60, *["large"] * 4], "size": size // 1000})["id"]
    ana.result(id)
    large = ana.submit("crier", {"names": ["large"] * 60, "size": size})["id"]
    ana.result(large)
    with Stream(gateway.url, large, token) as stream:
        told = list(stream)
    assert ids(told) == history(gateway, large)
    assert [len(each.data["data"]) for each in told if each.name == "large"] == [size] * 60
    page = ana.get(f"/tasks/{large}/events").json()
    assert 1 <= len(page["events"]) < 60
    rest = ana.get(f"/tasks/{large}/events", params={"after": page["next"]}).json()
    assert rest["events"][0]["seq"] == page["next"] + 1


def test_a_stream_goes_on_while_redis_is_away_and_hears_again_once_it_is_back(
    gateway: Gateway, ana: Caller, token: str
) -> None:
    settings = gateway.client.settings
    with Proxy(address_of(settings.redis_url)) as proxy:
        running, url = gateway.processes.gateway(redis_url=through(settings.redis_url, proxy))
        id = waiting(ana)
        reached, proxy.target = proxy.target, ("127.0.0.1", 1)
        proxy.cut()
        with Stream(url, id, token) as stream:
            seen = stream.until("waiting")
            go_on(ana, id)
            seen += list(stream)  # seen by looking, as no word comes
        assert ids(seen) == history(gateway, id)
        id = waiting(ana)
        with Stream(url, id, token) as stream:
            seen = stream.until("waiting")
            proxy.target = reached
            channel = key(gateway.client.get(id).id)
            eventually(lambda: gateway.client.redis.pubsub_numsub(channel)[0][1])
            go_on(ana, id)
            seen += list(stream)
        assert ids(seen) == history(gateway, id)
        running.kill()


def test_a_gateway_takes_the_open_files_that_it_may_and_says_where_these_are_few(gateway: Gateway) -> None:
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (256, 512));"
        "import sys; sys.argv = ['agent-tasks', 'gateway', '--port', '0']; from agent_tasks.cli import main; main()"
    )
    running = gateway.processes.python(code)
    eventually(lambda: "running on" in running.output)
    assert "may have 512 files open" in running.output
    assert "ulimit -n" in running.output
    running.kill()


@pytest.mark.slow
def test_a_stream_stays_open_while_postgres_is_away(gateway: Gateway, ana: Caller, token: str) -> None:
    settings = gateway.client.settings
    with Proxy(address_of(settings.database_url)) as proxy:
        running, url = gateway.processes.gateway(
            database_url=through(settings.database_url, proxy), gateway_keep_alive_seconds=0.2
        )
        id = waiting(ana)
        with Stream(url, id, token, seconds=60) as stream:
            seen = stream.until("waiting")
            reached, proxy.target = proxy.target, ("127.0.0.1", 1)
            proxy.cut()
            eventually(lambda: "behind until Postgres is back" in running.output, 60)
            proxy.target = reached
            go_on(ana, id)
            seen += list(stream)
        assert seen[-1] == END
        assert ids(seen) == history(gateway, id)
        assert "Traceback" not in running.output
        running.kill()
