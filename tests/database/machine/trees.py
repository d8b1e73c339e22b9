"""The model of trees: what the end of a task means for those above and below it."""

from collections.abc import Callable, Iterable, Sequence

from tests.database.machine.model import DIVIDED, Task, Waits


def end_all(tasks: Iterable[Task], status: Callable[[Task], str]) -> list[Task]:
    """Those of `tasks` whose end was not decided end; returns them."""
    chosen = [task for task in tasks if task.undecided]
    for task in chosen:
        task.end(status(task))
    return chosen


def cancel(task: Task) -> None:
    join(end_all([task, *task.below()], lambda _: "cancelled"))


def cancel_below(task: Task) -> list[Task]:
    return end_all(task.below(), lambda _: "cancelled")


def call_in(parents: Sequence[Task]) -> None:
    """The time of these is down to their reserve: those below end with what they have, and they go on."""
    for parent in parents:
        parent.due = False
    join(
        [
            task
            for parent in parents
            for task in end_all(parent.below(), lambda task: "partial" if task.partial else "timeout")
        ]
    )
    for parent in parents:
        if parent.status == "waiting":
            parent.go("call in", "pending")


def join(changed: Sequence[Task]) -> None:
    """What the end of tasks means for those above them."""
    ended = [task for task in changed if not task.living]
    while ended:
        books = [(task, dict(task.spent), dict(task.beyond)) for task in ended]
        for task, spent, beyond in books:
            for heir in task.heirs:
                for name in DIVIDED:
                    heir.spent[name] += spent[name]
                    heir.beyond[name] += beyond[name]
        following: list[Task] = []
        for parent in {id(task.parent): task.parent for task in ended if task.parent and task.parent.living}.values():
            current = [t for t in ended if t.parent is parent and t.parent_step == parent.number - 1]
            if parent.policy == "fail" and any(task.status != "completed" for task in current):
                following += [*end_all([parent], lambda _: "failed"), *cancel_below(parent)]
            elif current and parent.waits == Waits("children") and not parent.awaited:
                parent.go("join", "pending")
        ended = [task for task in following if not task.living]
