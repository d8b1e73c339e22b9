"""Whether a test can decide a statement, and if not, why."""

from agent_tasks.bundled.planner.vocabulary import MEASURE, OPEN, VAGUE, pattern

_WISHED = pattern("(?:would|wäre) (?:be )?(?:nice|great|good|schön|gut), nice to have, if possible, wenn möglich")
"""How much something is wished for, which says nothing of the thing."""
QUALITIES = frozenset({"performance", "availability", "scalability", "usability"})
"""Categories that mean nothing without a measure."""


def untestable(text: str, category: str | None = None) -> str | None:
    """Return why no test can decide a requirement, with what to write instead; None if one can."""
    if found := OPEN.search(text):
        return f"It is left open (“{found[0].strip()}”): decide it, or name who decides by when."
    if MEASURE.search(text):
        return None
    if found := VAGUE.search(_WISHED.sub("", text)):
        return f"“{found[0]}” has no measure: say by what number or observation it is met."
    if category in QUALITIES:
        return f"It asks for {category} without a measure: name a number, and under what load or for whom it holds."
    return None
