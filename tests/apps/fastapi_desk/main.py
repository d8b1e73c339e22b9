"""The app: it opens a ticket and submits its task in one transaction, shows how it goes on, and takes the approval."""

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel
from sqlalchemy import CheckConstraint
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from agent_tasks import AgentTaskError, Settings
from agent_tasks.contrib.fastapi import Submit, Tasks, lifespan, submit_within


class Base(DeclarativeBase):
    pass


class Ticket(Base):
    """A table of the app's own, named as one of ours is."""

    __tablename__ = "tasks"
    __table_args__ = (CheckConstraint("question <> ''"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    question: Mapped[str]
    task: Mapped[UUID | None]


class NewTicket(BaseModel):
    question: str
    urgent: bool = False


class Approval(BaseModel):
    ok: bool


async def get_session(request: Request) -> AsyncIterator[AsyncSession]:
    async with request.app.state.sessions() as session:
        yield session


Session = Annotated[AsyncSession, Depends(get_session)]
SubmitHere = Annotated[Submit, Depends(submit_within(get_session))]


async def ticket_of(number: int, session: Session) -> Ticket:
    found = await session.get(Ticket, number)
    if found is None:
        raise HTTPException(404, "There is no such ticket.")
    return found


Found = Annotated[Ticket, Depends(ticket_of)]


def create_app(settings: Settings) -> FastAPI:
    @asynccontextmanager
    async def everything(app: FastAPI) -> AsyncGenerator[None]:
        engine = create_async_engine(settings.database_url.replace("postgresql://", "postgresql+psycopg://", 1))
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        app.state.sessions = async_sessionmaker(engine, expire_on_commit=False)
        async with lifespan(settings)(app):
            yield
        await engine.dispose()

    app = FastAPI(lifespan=everything)

    @app.exception_handler(AgentTaskError)
    async def refused(request: Request, error: AgentTaskError) -> JSONResponse:
        return JSONResponse({"detail": error.message}, 422)

    @app.post("/tickets", status_code=201)
    async def open_ticket(new: NewTicket, session: Session, submit: SubmitHere) -> dict[str, Any]:
        ticket = Ticket(question=new.question)
        session.add(ticket)
        await session.flush()
        task = await submit(
            "desk-answer",
            {"ticket": ticket.id, "question": new.question},
            priority=9 if new.urgent else 5,
            idempotency_key=f"ticket-{ticket.id}",
        )
        ticket.task = task.id
        await session.commit()
        return {"ticket": ticket.id, "task": task.id}

    @app.post("/imports", status_code=201)
    async def import_tickets(new: list[NewTicket], session: Session, submit: SubmitHere) -> list[int]:
        tickets = [Ticket(question=each.question) for each in new]
        session.add_all(tickets)
        await session.flush()
        handles = await submit.many("desk-answer", [{"ticket": t.id, "question": t.question} for t in tickets])
        for ticket, task in zip(tickets, handles, strict=True):
            ticket.task = task.id
        await session.commit()
        return [ticket.id for ticket in tickets]

    @app.get("/tickets/{number}")
    async def show(ticket: Found, tasks: Tasks) -> dict[str, Any]:
        snapshot = await (await tasks.get(str(ticket.task))).snapshot()
        return {"question": ticket.question, "status": snapshot.status, "waiting_for": snapshot.waiting_for}

    @app.get("/tickets/{number}/events")
    async def follow(ticket: Found, tasks: Tasks) -> StreamingResponse:
        task = await tasks.get(str(ticket.task))

        async def lines() -> AsyncGenerator[str]:
            async for event in task.events(follow=True, timeout=30):
                yield f"data: {json.dumps({'type': event.type})}\n\n"

        return StreamingResponse(lines(), media_type="text/event-stream")

    @app.post("/tickets/{number}/approval")
    async def approve(ticket: Found, approval: Approval, tasks: Tasks) -> dict[str, Any]:
        task = await tasks.get(str(ticket.task))
        await task.signal("approval", approval.model_dump(), signal_id=f"approval-{ticket.id}")
        return await task.result(timeout=30)

    return app
