"""Postgres: connections, tables, rows and queries."""
