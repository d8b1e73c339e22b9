"""A PgBouncer in front of a test's Postgres."""

import re
import socket
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict

from tests.eventually import eventually
from tests.proxy import address_of
from tests.servers.programs import Program, installed, theirs


@contextmanager
def bouncing(url: str, *, mode: str = "transaction", size: int = 20, prepared: int | None = None) -> Generator[str]:
    """The URL by way of the pooler, with `size` connections to the server; `prepared`: its max_prepared_statements."""
    program = installed("pgbouncer")
    address = address_of(url)
    folder_of, _, server_port = (
        address.rpartition("/.s.PGSQL.") if isinstance(address, str) else (address[0], "", address[1])
    )
    user = conninfo_to_dict(url).get("user", "postgres")
    with tempfile.TemporaryDirectory(prefix="at-bouncer-") as name, socket.create_server(("127.0.0.1", 0)) as free:
        folder, port = Path(name), free.getsockname()[1]
        free.close()
        options = {
            "listen_addr": "127.0.0.1",
            "listen_port": port,
            "unix_socket_dir": "",
            "auth_type": "any",
            "pool_mode": mode,
            "default_pool_size": size,
            "max_client_conn": 500,
            "server_lifetime": 600,
        }
        if prepared is not None:
            options["max_prepared_statements"] = prepared
        lines = [f"{name} = {value}" for name, value in options.items()]
        ini = folder / "pgbouncer.ini"
        ini.write_text(
            "\n".join(
                ["[databases]", f"* = host={folder_of} port={server_port} user={user}", "[pgbouncer]", *lines, ""]
            )
        )
        theirs(folder, ini)
        bouncer = Program([program, ini], folder / "log")
        database = conninfo_to_dict(url)["dbname"]
        try:
            through = f"postgresql://{user}@127.0.0.1:{port}/{database}"
            eventually(lambda: _answers(through), 10)
            yield through
        finally:
            bouncer.end()


def version() -> tuple[int, int]:
    said = subprocess.run([installed("pgbouncer"), "-V"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"(\d+)\.(\d+)", said)
    assert found is not None
    return int(found[1]), int(found[2])


def _answers(url: str) -> bool:
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError:
        return False
    return True
