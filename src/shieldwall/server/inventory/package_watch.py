"""Watching how packages are used: many devices at once, or one that lets nobody in any more and is still tried."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from sqlalchemy import Connection

from shieldwall.contract import strict_json
from shieldwall.contract.ids import PackageId
from shieldwall.server.directory.acting import Acting
from shieldwall.server.storage.events.alerts import Alert, Severity, raise_alert
from shieldwall.server.storage.onboarding import packages
from shieldwall.server.storage.records import OnboardingPackageRecord

BURST_WITHIN: Final = timedelta(minutes=10)
BURST: Final = 50
"""So many devices within that time are more than people onboard by hand, and worth a look."""
BURST_KIND: Final = "packageBurst"
REFUSED_KIND: Final = "packageRefused"
DEAD: Final = {"packageRevoked": "revoked", "packageExpired": "expired"}
"""Codes of refusals that mean: somebody still holds a package that nobody should use."""
_LONGEST_TITLE: Final = 256


def note_use(connection: Connection, acting: Acting, package: OnboardingPackageRecord) -> None:
    """Raise an alert when a package lets in many devices within a short time; once for every so many."""
    count = packages.uses_since(connection, package.id, acting.clock.now() - BURST_WITHIN)
    if count >= BURST and count % BURST == 0:
        title = f"Many devices at once with the package {package.display_name}"
        raise_alert(connection, _alert(acting, package, BURST_KIND, title))


def note_refusal(connection: Connection, acting: Acting, package_id: PackageId, code: str) -> None:
    """Count a use of a package that is revoked or has expired, by somebody who holds it: one alert that counts."""
    package = packages.find(connection, package_id)
    if package is not None and package.tenant_id == acting.tenant_id and code in DEAD:
        title = f"The {DEAD[code]} package {package.display_name} is still tried"
        raise_alert(connection, _alert(acting, package, REFUSED_KIND, title))


def _alert(acting: Acting, package: OnboardingPackageRecord, kind: str, title: str) -> Alert:
    now = acting.clock.now()
    return Alert(
        id=acting.new_id(),
        tenant_id=acting.tenant_id,
        device_id=None,
        kind=kind,
        severity=Severity.MEDIUM,
        title=title[:_LONGEST_TITLE],
        details=strict_json.encode({"package": package.id, "name": package.display_name}).decode(),
        first_at=now,
        last_at=now,
    )
