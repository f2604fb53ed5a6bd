"""How hard a law is tried: a thousand cases in every run, a hundred thousand by ``make campaign``."""

from __future__ import annotations

from typing import Final

from hypothesis import settings

law: Final = settings(max_examples=max(1_000, settings.default.max_examples if settings.default else 0), deadline=None)
"""Decorator for a law that everything else stands on; a profile that asks for more is heeded."""
