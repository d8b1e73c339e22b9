"""Steps that are taken back: where a later one fails, what was reserved is given up again, newest first."""

from agent_tasks import Agent, Context, Done, Next, submit

traveller = Agent("example-traveller")


async def reserve(what: str, city: str) -> str:
    return f"{what} in {city}"


async def give_up(reservation: str) -> str:
    return f"{reservation} given up"


async def cancel_hotel(ctx: Context, hotel: str) -> None:
    await ctx.emit("undone-hotel", await ctx.call(give_up, hotel))


@traveller.step(undo=cancel_hotel)
async def book_hotel(ctx: Context, city: str) -> Next:
    return Next(book_flight, city=city, hotel=await ctx.call(reserve, "hotel", city))


@traveller.step
async def book_flight(ctx: Context, city: str, hotel: str) -> Done:
    if city == "Atlantis":
        raise LookupError("nobody flies there")
    return Done([hotel, await ctx.call(reserve, "flight", city)])


if __name__ == "__main__":
    print(submit(traveller, {"city": "Lisbon"}).result(timeout=30))
    lost = submit(traveller, {"city": "Atlantis"})
    print(lost.wait(timeout=30).status)
    print([event.data for event in lost.events() if event.type == "undone-hotel"])
