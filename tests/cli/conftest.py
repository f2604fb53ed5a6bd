"""One real server for the commands of each module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.support.command_line import CommandLine, running_server


@pytest.fixture(scope="module")
def shieldwall(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    with running_server(tmp_path_factory.mktemp("cli")) as line:
        yield line
