"""Postgres' type of transaction ids that are never used again, which SQLAlchemy does not know."""

from sqlalchemy.types import UserDefinedType


class Xid8(UserDefinedType[str]):
    """A column of type `xid8`, made and compared by the migrations alone."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        return "XID8"
