"""How much is sent to a lane at once."""

from agent_tasks.webhooks.lanes import _KNOWN, FIRST, MOST, MOST_IN_FLIGHT, Lanes


def test_a_lane_that_accepts_all_has_room_for_more_and_more_and_one_that_does_not_for_as_little_as_at_first() -> None:
    lanes = Lanes()
    assert lanes.room == {}
    for _ in range(MOST):
        lanes.begin("a", "acme")
        lanes.end("a", "acme", accepted=True)
    assert (lanes.room, lanes.left) == ({"a": MOST}, MOST_IN_FLIGHT)
    lanes.begin("a", "acme")
    assert (lanes.room, lanes.left) == ({"a": MOST - 1}, MOST_IN_FLIGHT - 1)
    lanes.end("a", "acme", accepted=False)
    assert lanes.room == {}
    for _ in range(FIRST + 1):
        lanes.begin("a", "acme")
    assert lanes.room == {"a": 0}
    assert [lanes.end("a", "acme", accepted=False) for _ in range(FIRST + 1)] == [True, True] + [False] * (FIRST - 1)


def test_what_is_known_of_lanes_does_not_grow_for_ever() -> None:
    lanes = Lanes()
    for number in range(2 * _KNOWN):
        lanes.begin(str(number), str(number))
        lanes.end(str(number), str(number), accepted=True)
    assert len(lanes.room) == _KNOWN
    assert lanes.tenant_room == {}
    assert str(2 * _KNOWN - 1) in lanes.room


def test_a_tenant_takes_no_more_than_it_leaves_for_one_that_comes_next() -> None:
    lanes = Lanes()
    taken = [taken_by(lanes, name) for name in ("a", "b", "c")]
    assert taken == [MOST_IN_FLIGHT // 2, MOST_IN_FLIGHT // 4, MOST_IN_FLIGHT // 8]
    assert lanes.tenant_room == {"a": 0, "b": 0, "c": 0}
    assert lanes.usual_tenant_room > 0
    assert lanes.end("a", "a", accepted=False) is True  # its lane has none
    for _ in range(taken[0] - 1):
        lanes.end("a", "a", accepted=False)
    assert lanes.tenant_room["b"] > 0


def taken_by(lanes: Lanes, tenant: str) -> int:
    """How many a tenant takes that has enough to send."""
    number = 0
    while lanes.tenant_room.get(tenant, lanes.usual_tenant_room) > 0:
        lanes.begin(tenant, tenant)
        number += 1
    return number
