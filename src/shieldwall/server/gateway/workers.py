"""A few threads for what would hold up the loop: the signer's socket, a look into the database."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar, TypeVarTuple

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")

THREADS: Final = 4


class Workers:
    """Runs plain functions beside the loop."""

    def __init__(self, threads: int = THREADS) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="gateway-worker")

    async def run(self, function: Callable[[*Arguments], T], *arguments: *Arguments) -> T:
        """Call ``function`` in one of the threads and return what it returns."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, function, *arguments)

    def close(self) -> None:
        """Finish what runs, start nothing more."""
        self._pool.shutdown(wait=True, cancel_futures=True)
