"""How hard a law is tried: a thousand cases in every run, a hundred thousand by ``make campaign``."""

from __future__ import annotations

import functools
from typing import Any, Final

from hypothesis import is_hypothesis_test, settings
from tests.support.campaign import Progress

law: Final = settings(max_examples=max(1_000, settings.default.max_examples if settings.default else 0), deadline=None)
"""Decorator for a law that everything else stands on; a profile that asks for more is heeded."""


def counted(name: str, test: Any) -> Progress | None:
    """Let a law say how far it is, counting every case it is tried on; ``None`` for a test that is none."""
    if not is_hypothesis_test(test):
        return None
    chosen = getattr(test, "_hypothesis_internal_use_settings", None) or settings()
    progress = Progress(name=name, total=chosen.max_examples)
    inner = test.hypothesis.inner_test

    @functools.wraps(inner)
    def counting(*arguments: Any, **more: Any) -> Any:
        try:
            return inner(*arguments, **more)
        finally:
            progress.one_more()

    test.hypothesis.inner_test = counting
    return progress
