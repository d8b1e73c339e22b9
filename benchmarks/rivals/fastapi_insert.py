"""A FastAPI handler that inserts one row and answers with its id: all that a gateway could leave out."""

import os
from uuid import UUID, uuid4

import psycopg
from fastapi import FastAPI
from psycopg_pool import ConnectionPool
from pydantic import BaseModel

TABLE = "CREATE TABLE public.requests (id uuid PRIMARY KEY, body jsonb NOT NULL)"
NOTE = "The handler: FastAPI, a `def` function, a model of pydantic for the body, a pool of 8 connections of psycopg"

app = FastAPI()
pool: "ConnectionPool[psycopg.Connection[tuple[object, ...]]]" = ConnectionPool(
    os.environ.get("AGENT_TASKS_DATABASE_URL", ""), min_size=8, max_size=8, kwargs={"autocommit": True}, open=False
)


class Body(BaseModel):
    agent: str
    input: dict[str, object]


@app.post("/tasks", status_code=202)
def submit(body: Body) -> dict[str, UUID]:
    pool.open()
    request = uuid4()
    with pool.connection() as connection:
        connection.execute("INSERT INTO public.requests VALUES (%s, %s)", [request, body.model_dump_json()])
    return {"id": request}
