"""The sockets that a gateway listens on."""

import socket
from contextlib import closing

from agent_tasks.gateway.server import listen


def test_an_answer_is_not_held_back_until_the_client_has_acknowledged_its_head() -> None:
    (listening,) = listen("127.0.0.1", 0)
    with closing(listening), socket.create_connection(listening.getsockname()):
        accepted, _ = listening.accept()
        with closing(accepted):
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
