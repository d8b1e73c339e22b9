"""How much is sent to a lane at once."""

from agent_tasks.webhooks.lanes import _KNOWN, FIRST, MOST, Lanes


def test_a_lane_that_accepts_all_has_room_for_more_and_more_and_one_that_does_not_for_as_little_as_at_first() -> None:
    lanes = Lanes()
    assert lanes.room == {}
    for _ in range(MOST):
        lanes.begin("a")
        lanes.end("a", accepted=True)
    assert (lanes.room, lanes.in_flight) == ({"a": MOST}, 0)
    lanes.begin("a")
    assert (lanes.room, lanes.in_flight) == ({"a": MOST - 1}, 1)
    lanes.end("a", accepted=False)
    assert lanes.room == {}
    for _ in range(FIRST + 1):
        lanes.begin("a")
    assert lanes.room == {"a": 0}
    assert [lanes.end("a", accepted=False) for _ in range(FIRST + 1)] == [True, True] + [False] * (FIRST - 1)


def test_what_is_known_of_lanes_does_not_grow_for_ever() -> None:
    lanes = Lanes()
    for number in range(2 * _KNOWN):
        lanes.begin(str(number))
        lanes.end(str(number), accepted=True)
    assert len(lanes.room) == _KNOWN
    assert str(2 * _KNOWN - 1) in lanes.room
