"""The app with everything unusual on is reached through Sentinel, too, with our one line and without it."""

from pathlib import Path

import pytest

from tests.apps import UNUSUAL
from tests.apps.test_apps import run_own_tests
from tests.processes import Processes
from tests.servers.sentinels import sentinel


@pytest.mark.parametrize("installed", [True, False])
def test_its_own_tests_pass_by_way_of_sentinels(processes: Processes, tmp_path: Path, installed: bool) -> None:
    with sentinel() as (url, master):
        run_own_tests(UNUSUAL, processes, tmp_path, installed=installed, TEAM_REDIS_URL=url, TEAM_MASTER=master)
