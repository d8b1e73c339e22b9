"""The schema that the tables are in, and the columns that several of them have."""

from sqlalchemy import TIMESTAMP, Column, ForeignKey, MetaData, Uuid, text

SCHEMA = "agent_tasks"
metadata = MetaData(
    schema=SCHEMA,
    naming_convention={
        "ix": "%(table_name)s_%(column_0_name)s",
        "pk": "%(table_name)s_pkey",
        "fk": "%(table_name)s_%(column_0_name)s_fkey",
        "ck": "%(table_name)s_%(constraint_name)s",
    },
)
TIME = TIMESTAMP(timezone=True)
NOW = text("clock_timestamp()")


def required(name: str, type_: object, default: str) -> Column[object]:
    return Column(name, type_, nullable=False, server_default=text(default))  # type: ignore[arg-type]


def task_id() -> Column[object]:
    return Column("task_id", Uuid, ForeignKey(f"{SCHEMA}.tasks.id", ondelete="CASCADE"), primary_key=True)
