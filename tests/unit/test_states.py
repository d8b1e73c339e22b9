"""The states of a task, as the contract lists them."""

import pytest

from agent_tasks.task.status import ACTIVE, RESUMABLE, TERMINAL, TaskStatus

CONTRACT = {  # state: (terminal, resumable)
    "pending": (False, False),
    "running": (False, False),
    "waiting": (False, False),
    "completed": (True, False),
    "failed": (True, True),
    "cancelled": (True, True),
    "timeout": (True, True),
    "partial": (True, True),
}


def test_the_states_are_those_of_the_contract() -> None:
    assert [str(status) for status in TaskStatus] == list(CONTRACT)


@pytest.mark.parametrize("status", TaskStatus)
def test_each_state_says_whether_it_is_terminal_and_resumable(status: TaskStatus) -> None:
    assert (status.is_terminal, status.is_resumable) == CONTRACT[status]


def test_a_state_is_its_text() -> None:
    assert TaskStatus("completed") == "completed"
    assert f"{TaskStatus.PARTIAL}" == "partial"


def test_every_state_is_either_terminal_or_active() -> None:
    assert set(TaskStatus) == TERMINAL | ACTIVE
    assert not TERMINAL & ACTIVE
    assert RESUMABLE < TERMINAL
