"""From attempts that a device tells of to alerts: for each kind one open row at most, however often it happens."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from types import MappingProxyType
from typing import Final

from sqlalchemy import Connection

from shieldwall.contract import strict_json
from shieldwall.contract.messages import CheckInRequest, TamperAttempt
from shieldwall.contract.strict_json import digest_of_bytes
from shieldwall.server.manager.turns import CallingDevice
from shieldwall.server.storage.events import alerts
from shieldwall.server.storage.events.alerts import Alert, Severity

MOST_SHOWN: Final = 20
"""Of the newest attempts so many stand in the details of an alert."""
_SAID: Final = MappingProxyType(
    {
        "settingChanged": (Severity.MEDIUM, "A managed setting was changed on the device and put back"),
        "offboardRefused": (Severity.HIGH, "Somebody at the device tried to take it out of management"),
        "agentFileChanged": (Severity.HIGH, "A file of the agent was changed"),
        "protectionChanged": (Severity.HIGH, "Somebody at the device tried to change its tamper protection"),
    }
)


def raise_tamper_alerts(connection: Connection, caller: CallingDevice, request: CheckInRequest, now: datetime) -> None:
    """Raise what the attempts of a check-in call for; what an open alert says already counts on there."""
    by_kind: defaultdict[str, list[TamperAttempt]] = defaultdict(list)
    for attempt in request.attempts:
        by_kind[attempt.kind].append(attempt)
    for kind, attempts in by_kind.items():
        severity, title = _SAID[kind]
        alerts.raise_alert(
            connection,
            Alert(
                id=_id(f"{caller.id}/{request.epoch}/{request.seq}/{kind}"),
                tenant_id=caller.tenant_id,
                device_id=caller.id,
                kind=f"tamper.{kind}",
                severity=severity,
                title=title,
                details=strict_json.encode({"attempts": attempts[-MOST_SHOWN:]}).decode(),
                first_at=now,
                last_at=now,
                times=len(attempts),
            ),
        )


def _id(name: str) -> str:
    """Make an id of what tells this alert from every other: a check-in brings at most one of each kind."""
    digest = digest_of_bytes(name.encode())
    return f"{digest[:8]}-{digest[8:12]}-8{digest[13:16]}-8{digest[17:20]}-{digest[20:32]}"
