"""Five releases of two agents, as modules that are written when a test asks for them."""

from pathlib import Path

MODULE = "released"
_HEAD = """
from typing import Any
from agent_tasks import Agent, Context, Next, Signal, SyncContext, Wait, agent

parcel = Agent("parcel", signals=["go"])


def weigh(to: str) -> int:
    return len(to)


def load(to: str) -> str:
    return f"{to} is loaded"


def unload(ctx: SyncContext, to: str) -> None:
    ctx.emit("unloaded", to)
"""
_ORDER = """
@parcel.step(undo=unload)
def order(ctx: SyncContext, to: str{more}) -> Any:
    state = dict({state})
    return Wait("go", then={then}, **state) if to.startswith("parked") else Next({then}, **state)
"""
_SEND = """
@parcel.step{options}
def {name}(ctx: SyncContext, {takes}) -> Any:
    return f"{{ctx.call(load, {to})}} at {{weight}}"
"""
_PACK = """
@parcel.step
def pack(ctx: SyncContext, person: str, weight: float, by: str) -> Any:
    return Next(ship, person=person, weight=weight, by=by)
"""
_STRAIGHT = """
@agent("courier")
async def bring(ctx: Context, to: str{more}) -> Any:
    weight = await ctx.call(weigh, to)
    if to.startswith("parked"):
        await ctx.wait("go")
    return f"{{await ctx.call(load, to)}} at {{weight}}"
"""
_MIGRATE = """
def with_person(state: dict[str, Any]) -> dict[str, Any]:
    rest = {"by": "us", **state}
    return {"person" if name == "to" else name: value for name, value in rest.items()}
"""
_PERSON = "person=to, weight=ctx.call(weigh, to), by=by"
RELEASES = (
    # what the first one has
    _ORDER.format(more="", state="to=to, weight=ctx.call(weigh, to)", then="'send'")
    + _SEND.format(options="", name="send", takes="to: str, weight: int", to="to")
    + _STRAIGHT.format(more=""),
    # an argument more
    _ORDER.format(more=", by: str = 'us'", state="to=to, weight=ctx.call(weigh, to), by=by", then="'send'")
    + _SEND.format(options="", name="send", takes="to: str, weight: int, by: str = 'us'", to="to")
    + _STRAIGHT.format(more=", by: str = 'us'"),
    # a step renamed
    _ORDER.format(more=", by: str = 'us'", state="to=to, weight=ctx.call(weigh, to), by=by", then="'ship'")
    + _SEND.format(options="(was=['send'])", name="ship", takes="to: str, weight: int, by: str = 'us'", to="to")
    + _STRAIGHT.format(more=", by: str = 'us'"),
    # an argument renamed
    _MIGRATE
    + _ORDER.format(more=", by: str = 'us'", state=_PERSON, then="'ship'")
    + _SEND.format(
        options="(was=['send'], migrate_state=with_person)",
        name="ship",
        takes="person: str, weight: int, by: str",
        to="person",
    )
    + _STRAIGHT.format(more=", by: str = 'us'"),
    # a step between, and a wider type
    _MIGRATE
    + _ORDER.format(more=", by: str = 'us'", state=_PERSON, then="'pack'")
    + _PACK
    + _SEND.format(
        options="(was=['send'], migrate_state=with_person)",
        name="ship",
        takes="person: str, weight: float, by: str",
        to="person",
    )
    + _STRAIGHT.format(more=", by: str = 'us'"),
)


def write(folder: Path) -> list[Path]:
    """Write each release into a folder of its own, as a module of the same name; returns the folders, in order."""
    folders = [folder / f"release{number}" for number in range(1, len(RELEASES) + 1)]
    for text, own in zip(RELEASES, folders, strict=True):
        own.mkdir()
        (own / f"{MODULE}.py").write_text(_HEAD + text)
    return folders
