"""Storage: what is accepted comes back from Postgres, through every column and the mirror."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from agent_tasks import AgentTasks, ErrorInfo, UpstreamUnavailable
from agent_tasks.storable import storable
from agent_tasks.task.payloads import encode, stored
from agent_tasks.transitions import ledger, spend
from agent_tasks.transitions.complete import Finish
from agent_tasks.transitions.fail import fail
from agent_tasks.transitions.retry import retry
from tests.database import claimed, commit, query, row_of, single
from tests.database.single import complete
from tests.mirrors import mirror_of

text = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]))
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text
keys = text | st.text(st.sampled_from("aé😀"), max_size=3)
documents = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(keys, inner), max_leaves=20)
fresh = hypothesis(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def same(found: Any, given: Any) -> bool:
    """Equal, of the same types, and with the keys in the order that `stored` foretells."""
    return found == given and repr(found) == repr(stored(encode(given, "value")))


@fresh
@given(documents)
def test_what_is_accepted_comes_back_from_the_database_and_from_the_mirror(client: AgentTasks, value: Any) -> None:
    taken = claimed(client, client.submit("echo", {"value": value}).id)
    assert taken.state is not None
    assert same(taken.state["value"], value)
    encoded = encode(value, "result")
    with client.database.connection() as connection:
        single.begin_call(connection, taken, 0, "call", key="k", at_most_once=False)
        single.end_call(connection, taken, 0, status="completed", outcome=encoded)
        assert same(ledger.recorded_calls(connection, taken)[0].outcome, value)
        spend.emit(connection, taken, "found", encoded)
        spend.keep_partial(connection, taken, encoded)
        commit(connection, taken, "echo", encoded)
        taken = claimed(client, taken.id)
        assert same(taken.state, value)
        client.publish([complete(connection, Finish(taken, encoded, 0))])
    task = client.get(taken.id)
    mirrored = mirror_of(client).get(task.id)
    assert mirrored is not None
    assert mirrored == task.stored()
    assert same(mirrored.result, value)
    assert same(mirrored.partial, value)
    assert same([event.data for event in task.events() if event.type == "found"], [value])


@hypothesis(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(documents, st.floats(allow_nan=False, allow_infinity=False))
@example({"bb": 1, "a": [1e16, 2.0**60, -0.0, 5e-324, 1.7976931348623157e308]}, -0.0)
@example({"é": 1, "zz": 2, "aaa": 3, "😀": 4, "-0.0": 5, "e+": 'a "quoted" 1e+16'}, 1e22)
def test_a_value_is_told_as_jsonb_will_give_it_back(client: AgentTasks, value: Any, number: float) -> None:
    text = encode([value, number], "value")
    (row,) = query(client, "SELECT %s::jsonb AS found", text)
    assert row["found"] == [value, number]
    assert repr(row["found"]) == repr(stored(text))


@fresh
@given(st.text(), st.text(), st.text() | st.binary() | st.none() | st.integers())
def test_any_error_and_traceback_can_be_stored_when_made_storable(
    client: AgentTasks, message: str, trace: str, detail: Any
) -> None:
    info = UpstreamUnavailable(message, retry_after=1, detail=detail).info
    waits, ends = claimed(client), claimed(client)
    with client.database.connection() as connection:
        retry(connection, waits, info, 1.0, progress=None)
        fail(connection, ends, info, traceback=storable(trace))
    assert ErrorInfo.model_validate(row_of(client, ends.id)["error"]) == info


@pytest.mark.parametrize("levels", [100, 150])
def test_deep_values_can_be_read_by_every_observer(client: AgentTasks, levels: int) -> None:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    taken = claimed(client)
    with client.database.connection() as connection:
        client.publish([complete(connection, Finish(taken, encode(value, "result"), 0))])
    assert client.get(taken.id).result(5) == value
    client.redis.flushall()
    assert client.get(taken.id).result(5) == value


def test_charges_of_small_amounts_add_up_exactly(client: AgentTasks) -> None:
    taken = claimed(client)
    with client.database.connection() as connection:
        for _ in range(10):
            spend.charge(connection, taken, tokens=1, usd=0.1)
        spent, *_ = spend.charge(connection, taken, tokens=0, usd=0.2)
    assert (spent.usd, spent.tokens) == (1.2, 10)
    assert str(row_of(client, taken.id)["spent_usd"]) == "1.2"


def test_times_of_the_record_are_the_databases_and_in_order(client: AgentTasks) -> None:
    taken = claimed(client)
    with client.database.connection() as connection:
        complete(connection, Finish(taken, "1", 0))
    row = row_of(client, taken.id)
    assert row["created_at"] <= row["started_at"] <= row["claimed_at"] <= row["finished_at"]
    sql = "SELECT count(*) AS n FROM agent_tasks.events WHERE task_id = %s AND at > clock_timestamp()"
    assert query(client, sql, taken.id) == [{"n": 0}]
    assert json.dumps([event.model_dump(mode="json") for event in client.get(taken.id).events()])
