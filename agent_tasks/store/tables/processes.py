"""The processes of a deployment: what workers have registered, who watches, and what all of them share."""

from sqlalchemy import ARRAY, Column, Integer, LargeBinary, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from agent_tasks.store.tables.schema import NOW, TIME, metadata

agents = Table(
    "agents",
    metadata,
    Column("name", Text, primary_key=True),
    Column("definition", JSONB, nullable=False),
    Column("seen_at", TIME, nullable=False, server_default=NOW),
)

workers = Table(
    "workers",
    metadata,
    Column("id", Text, primary_key=True),
    Column("hostname", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("queues", ARRAY(Text), nullable=False),
    Column("steps", ARRAY(Text), nullable=False),
    Column("started_at", TIME, nullable=False, server_default=NOW),
    Column("seen_at", TIME, nullable=False, server_default=NOW),
    Column("stopped_at", TIME),
    Column("keys", ARRAY(Text)),  # fingerprints of the keys it verifies with, the one it signs with first
    Column("signatures", ARRAY(Text)),  # of each of `steps`, which arguments it takes; null of workers before 0012
    Column("bells", Text),  # where it takes bells from, as doorbell.place says it; null of workers before 0024
)

watches = Table(
    "watches",
    metadata,
    Column("name", Text, primary_key=True),
    Column("since", TIME, nullable=False),  # the sweep has run without a gap from here
    Column("last_at", TIME, nullable=False),
    Column("keys", ARRAY(Text)),  # of the sweeper that ran last, as in workers.keys
)

secrets = Table(
    "secrets",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", LargeBinary, nullable=False),
)
