"""Their own test run: pytest, in a process of its own."""

import sys
from typing import NoReturn

import pytest


def main() -> NoReturn:
    sys.exit(pytest.main(sys.argv[1:]))
