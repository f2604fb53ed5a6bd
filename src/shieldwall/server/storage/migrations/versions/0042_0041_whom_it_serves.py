"""It says whom it serves, and changes nothing.

The names of some revisions before promise one program too many: ``0041_0040`` serves none that binds digests as texts,
and neither do ``0034_0033``, ``0036_0035``, ``0037_0035`` and ``0040_0039`` serve the program before them. A program
that believed it would say that it is ready, and fail at every check-in. Here it finds that it is not served.

Revision ID: 0042_0041
"""

from __future__ import annotations

revision = "0042_0041"
down_revision = "0041_0040"


def upgrade() -> None:
    """Change nothing: the name is what is new."""


def downgrade() -> None:
    """Change nothing."""
