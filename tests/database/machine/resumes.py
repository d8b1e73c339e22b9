"""The model of resume: where a new task goes on, and which children go on under it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from uuid import UUID

from agent_tasks import Budget
from tests.database.machine.model import FIRST_WAIT, Task, Waits


@dataclass(frozen=True)
class Point:
    """Where a resumed task goes on."""

    number: int
    step: str
    awaits: Waits | None
    at_end: bool
    """Whether the old one ended there."""

    def answered(self, number: int, *, is_named: bool) -> bool:
        """Whether what the waits within this step took is the new task's as well."""
        return number < self.number or (number == self.number and (self.at_end or not is_named))


def point(old: Task, from_step: int | None) -> Point | None:
    """None where there is no such checkpoint."""
    number = old.undo_step if from_step is None else from_step
    if number is None:
        by_choice = old.checkpoints and old.checkpoints[-1].next_step is None
        number = old.number - 1 if by_choice else old.number
    if number > len(old.checkpoints):
        return None
    before = old.checkpoints[number - 1] if number else None
    if before is not None and before.next_step is None:
        return None
    at_end = number == old.number and old.undo_step is None
    begun_with = before.next_step if before is not None else "echo"
    step = old.step if at_end else begun_with
    assert step is not None
    awaits = before.awaits if before is not None else None
    still_waits = at_end and old.attempt + old.uncounted == 0 and before is not None and step == before.next_step
    if awaits is not None and awaits.kind != "children" and (not still_waits or old.consumed.get(number)):
        awaits = None
    return Point(number, step, awaits, at_end)


def unfinished(task: Task, number: int) -> list[Task]:
    """The children that the step `number` waits for, of the task or its forerunners, and that had not completed."""
    found: dict[int | None, Task] = {}
    while True:
        own = {child.index: child for child in task.children if child.parent_step == number - 1}
        found = {**own, **found}
        if task.resumed_from is None or not task.checkpoints[number - 1].copied:
            return [child for _, child in sorted(found.items()) if child.status != "completed"]
        task = task.resumed_from


def resumable(old: Task, from_step: int | None = None) -> bool:
    there = point(old, from_step)
    if old.living or there is None:
        return False
    if there.awaits != Waits("children"):
        return True
    return all(resumable(child) for child in unfinished(old, there.number))


Accepted = Callable[[Task, Task | None], tuple[UUID, Budget]]
"""The id and the budget of the new task that resumes an old one, under a parent."""


def resume(old: Task, from_step: int | None, accepted: Accepted, parent: Task | None = None) -> list[Task]:
    """The new task, then those that go on under it."""
    there = point(old, from_step)
    assert there is not None
    new_id, budget = accepted(old, parent)
    is_answered = partial(there.answered, is_named=from_step is not None)
    is_forked = old.status == "completed" or (old.status == "partial" and from_step is not None)
    consumed = {there.number: old.consumed[there.number]} if there.number in old.consumed else {}
    taken = {n: old.taken[n] for n in old.taken if n == there.number and is_answered(n)}
    new = Task(
        new_id, budget, old.identity, parent,
        index=old.index,
        resumed_from=old, step=there.step, number=there.number, partial=old.partial,
        policy=old.policy, inbox=list(old.inbox), consumed=consumed, taken=taken,
        checkpoints=[replace(c, copied=True, undo=c.undo and not is_forked) for c in old.checkpoints[: there.number]],
    )  # fmt: skip
    for (number, ordinal), (status, _) in old.calls.items():
        is_anew = ordinal >= FIRST_WAIT and not is_answered(number)
        if number >= 0 and number not in old.undone_steps:
            new.calls[number, ordinal] = ("started" if is_anew else status, 0)
    if parent is not None:
        new.parent_step = parent.number - 1
        parent.children.append(new)
    if there.awaits is None:
        return [new]
    new.status, new.waits = "waiting", there.awaits
    new.deliver()
    resumed = [new]
    if there.awaits == Waits("children"):
        for child in unfinished(new, there.number):
            resumed += resume(child, None, accepted, new)
        if not new.awaited:
            new.status, new.waits = "pending", None
    return resumed
