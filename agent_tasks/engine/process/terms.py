"""The terms on which steps run in a process: whether it is ours alone."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Terms:
    """What a runtime may do; by default all that it may in a process of our own."""

    waits_in_slots: bool = True
    """A bell that comes while Postgres is away goes back to its queue, and its slot waits a moment. Else the slot is
    free at once, and the bell is sent again when Postgres is back."""
    sends_events: bool = True
    """Steps are told of in Celery's events."""
    resets_signals: bool = True
    """Whatever is forked off the process handles signals in the usual way. Else only what steps fork."""


OURS = Terms()
