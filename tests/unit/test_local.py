"""How a program that runs servers of its own ends when it is told to."""

import signal
import subprocess
import sys

DROPPED = """
import os, signal, time, weakref
from agent_tasks.cli.local import leave_when_told
class Thing: ...
leave_when_told()
thing = Thing()
mark = weakref.ref(thing, lambda _: os.kill(os.getpid(), signal.SIGTERM))
try:
    del thing
    print("dropped", flush=True)
    end = time.monotonic() + 20
    while time.monotonic() < end:
        time.sleep(0.01)
finally:
    print("cleaned up", flush=True)
"""


def test_a_signal_whose_exception_python_drops_ends_the_program_all_the_same() -> None:
    ran = subprocess.run([sys.executable, "-c", DROPPED], capture_output=True, text=True, timeout=30)
    assert (ran.returncode, ran.stdout.split("\n")) == (128 + signal.SIGTERM, ["dropped", "cleaned up", ""])
    assert ran.stderr == ""
