"""The URL of a database of Django's, as libpq reads it."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from psycopg.pq import Conninfo

_KNOWN = {option.keyword.decode() for option in Conninfo.get_defaults()}
"""What libpq takes. Django's OPTIONS have more: what is for the driver, or for Django itself."""


def url_of(database: Mapping[str, Any]) -> str:
    """Return the URL under which libpq connects as Django does with this entry of DATABASES."""
    options: dict[str, Any] = database.get("OPTIONS") or {}
    parameters = {"dbname": database.get("NAME"), **{name: options[name] for name in options if name in _KNOWN}}
    for name in ("USER", "PASSWORD", "HOST", "PORT"):
        if database.get(name):
            parameters[name.lower()] = database[name]
    if role := options.get("assume_role"):
        parameters["options"] = f"{parameters.get('options') or ''} -c role={_escaped(str(role))}".strip()
    given = {name: str(value) for name, value in parameters.items() if value not in (None, "")}
    name, user, password = (quote(given.pop(each, ""), safe="") for each in ("dbname", "user", "password"))
    owner = user + (f":{password}" if password else "")
    return f"postgresql://{owner}{'@' if owner else ''}/{name}" + (
        f"?{urlencode(given, quote_via=quote)}" if given else ""
    )


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace(" ", "\\ ")
