"""What a DSSE envelope may hold. The type is part of the signed bytes, so one kind never passes for another."""

from __future__ import annotations

from typing import Final

POLICY: Final = "application/vnd.shieldwall.policy.v1+json"
MANIFEST: Final = "application/vnd.shieldwall.manifest.v1+json"
ONBOARDING: Final = "application/vnd.shieldwall.onboarding.v1+json"
OFFBOARDING: Final = "application/vnd.shieldwall.offboarding.v1+json"
TIME: Final = "application/vnd.shieldwall.time.v1+json"
