"""The lists of Redis that hold a queue's messages, as kombu's Redis transport names them."""

from bisect import bisect
from dataclasses import dataclass


@dataclass(frozen=True)
class Lists:
    """How the lists are named under an app's transport options: kombu's own where it has none."""

    prefix: str = ""
    """`global_keyprefix`: what the names of all its keys begin with."""
    sep: str = "\x06\x16"
    """`sep`: what stands between a queue and a priority."""
    steps: tuple[int, ...] = (0, 3, 6, 9)
    """`priority_steps`: the priorities for which there is a list each, in the order in which they are taken."""

    def level(self, priority: int) -> int:
        """Return the list's priority for a task's: 9 is the most urgent for us, 0 for Redis."""
        return self.nearest(9 - priority)

    def nearest(self, level: int) -> int:
        """Return the step for a message of this level, as kombu does; below all of them the first, not the last."""
        return self.steps[max(0, bisect(self.steps, level) - 1)]

    def name(self, queue: str, level: int) -> str:
        return f"{self.prefix}{queue}{self.sep}{level}" if level else f"{self.prefix}{queue}"

    def of(self, queue: str) -> list[str]:
        """Return all lists of a queue."""
        return [self.name(queue, level) for level in self.steps]


OURS = Lists()
"""The lists of our own apps, and of every app whose options say nothing else."""
