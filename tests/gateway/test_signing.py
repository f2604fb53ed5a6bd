"""Asking the signer from the loop, for so long and no longer."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, cast

import pytest

from shieldwall.server.gateway.signing import Signing
from shieldwall.server.gateway.workers import Workers
from shieldwall.server.signer.errors import SignerUnavailableError


def test_whoever_has_waited_long_enough_is_told_so_while_the_signer_still_hangs() -> None:
    may_end, workers = threading.Event(), Workers(threads=1)
    signing = Signing(signers=cast("Any", None), workers=workers, patience=0.01)

    async def asked_twice() -> None:
        for _ in range(2):  # the second has no thread to wait in
            with pytest.raises(SignerUnavailableError):
                await signing.ask(may_end.wait)

    try:
        asyncio.run(asked_twice())
        assert not may_end.is_set()
    finally:
        may_end.set()
        workers.close()
