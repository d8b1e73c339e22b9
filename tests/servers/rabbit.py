"""A RabbitMQ of a test's own, on this machine only."""

from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from kombu.connection import Connection

from agent_tasks.embedded.valkey import free_port
from tests.eventually import eventually
from tests.servers.programs import Program, installed, theirs

_SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
"""What the distribution's script runs, which itself runs under its own user and for the one server of the machine."""
_CONTROL = _SERVER.with_name("rabbitmqctl")
START_SECONDS = 120


class Rabbit:
    """The server, which can be killed and started again with what it has on disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"amqp://guest:guest@127.0.0.1:{self.port}//"
        mapper = str(free_port())
        self._environment = {
            "HOME": str(folder),
            "ERL_EPMD_PORT": mapper,
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_CONF_ENV_FILE": str(folder / "none"),
            "RABBITMQ_CONFIG_FILE": str(folder / "none"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(folder / "generated"),
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_LOG_BASE": str(folder),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_PID_FILE": str(folder / "pid"),
            "RABBITMQ_NODENAME": f"test{self.port}@localhost",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        }
        # its own, since the one that RabbitMQ would start outlives it
        self._mapper = Program([installed("epmd"), "-port", mapper, "-address", "127.0.0.1"], folder / "epmd.log")
        self._program = self._start()

    def kill(self) -> None:
        self._program.end_all()

    def start(self) -> None:
        self._program = self._start()
        self.wait()

    def wait(self) -> None:
        eventually(self._answers, START_SECONDS)

    def control(self, *words: str) -> None:
        """Have rabbitmqctl do something, as making a user."""
        program = Program([_CONTROL, "-q", *words], self.folder / "control.log", self._environment)
        assert program.wait(START_SECONDS) == 0, (self.folder / "control.log").read_text()

    def end(self) -> None:
        self._program.end_all()
        self._mapper.end()

    def _start(self) -> Program:
        return Program([_SERVER], self.folder / "log", self._environment)

    def _answers(self) -> bool:
        with suppress(OSError), Connection(self.url, connect_timeout=5) as connection:
            connection.connect()
            return True
        return False


@contextmanager
def rabbitmq() -> Generator[Rabbit]:
    installed("rabbitmq-server")
    with TemporaryDirectory(prefix="at-rabbit-") as name:
        folder = Path(name)
        theirs(folder)
        server = Rabbit(folder)
        try:
            server.wait()
            yield server
        finally:
            server.end()
