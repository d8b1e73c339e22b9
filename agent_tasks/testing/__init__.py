"""What tests of agents use: the type of the fixture `agent_tasks`, contexts without servers, and replays."""

from agent_tasks.testing.calls import Calls, MadeCall, UnexpectedCall
from agent_tasks.testing.clock import Clock
from agent_tasks.testing.crash.everywhere import CrashReport, DurabilityBugs
from agent_tasks.testing.fake_context import FakeContext, FakeSyncContext
from agent_tasks.testing.kit import Kit
from agent_tasks.testing.replay import ReplayDiffers, Replayed, replay

__all__ = [
    "Calls",
    "Clock",
    "CrashReport",
    "DurabilityBugs",
    "FakeContext",
    "FakeSyncContext",
    "Kit",
    "MadeCall",
    "ReplayDiffers",
    "Replayed",
    "UnexpectedCall",
    "replay",
]
