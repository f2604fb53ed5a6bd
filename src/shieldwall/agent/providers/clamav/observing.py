"""What the running engine, and the look at opens, show of each setting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shieldwall.agent.host.ports import Host
from shieldwall.agent.providers.base import Observation
from shieldwall.agent.providers.clamav import (
    access,
    backend,
    configuration,
    daemon,
    directives,
    landings,
    levels,
    onaccess,
    probes,
)
from shieldwall.agent.providers.clamav.levels import Level


def observe(host: Host, content: bytes, values: Mapping[str, Any], *, has_canary: bool) -> Mapping[str, Observation]:
    """Say of each value, by where it lands, whether it is in effect; ``content`` is ``clamd.conf``."""
    if configuration.first_path(content, "LocalSocket") is None:
        reason = "clamd has no LocalSocket at which it could be asked."
        return dict.fromkeys(values, Observation(effective=None, code="noLocalSocket", reason=reason))
    address = daemon.address(host, content)
    engine = probes.engine(address, has_canary=has_canary)
    if engine.effective is False and daemon.is_waiting_for_condition(host):
        reason = "clamd has no virus definitions yet: systemd starts it once freshclam has fetched them."
        engine = Observation(effective=False, code="engineNotRunning", reason=reason)
    if address is None or not engine.effective:
        return dict.fromkeys(values, engine)
    level = levels.level_of(values)
    opens = _opens(host, level, values)
    seen = {}
    for landing, value in values.items():
        if landing in directives.ON_ACCESS:
            seen[landing] = opens if landing in levels.LANDINGS else _detail(level, opens)
        else:
            asked = probes.setting(address, landing, value)
            seen[landing] = opens if _hangs_on_opens(landing, value, level, opens) and asked.effective else asked
    return seen


def _opens(host: Host, level: Level | None, values: Mapping[str, Any]) -> Observation:
    """Say whether opens are looked at as the level asks, or not at all where it asks for nothing."""
    if level is None or not level.watches:
        return access.off(host) if directives.ON_ACCESS & set(values) else Observation(effective=True)
    which: backend.Backend | None = onaccess.running({path: host.read_file(path) for path in onaccess.FILES})
    if which is None:
        reason = "Nothing that looks at files as they are opened is configured."
        return Observation(effective=False, code="onAccessNotRunning", reason=reason)
    return access.observe(host, level, which)


def _detail(level: Level | None, opens: Observation) -> Observation:
    """Say whether a setting of the look at opens is in effect: the running gate shows that it took its settings."""
    if level is not None and level.watches:
        return opens
    reason = "Files are not looked at as they are opened, so there is nothing that this could steer."
    return Observation(effective=None, code="onAccessOff", reason=reason)


def _hangs_on_opens(landing: str, value: Any, level: Level | None, opens: Observation) -> bool:
    """Say whether a setting that clamd shows to be in effect also has to be so where opens are looked at."""
    if level is None or not level.watches or opens.effective is not False:
        return False
    blocks = landing == landings.THREAT_TYPES and any(item.get("value") == "block" for item in value)
    return blocks or landing in (landings.EXCLUSIONS, landings.GLOBAL_EXCLUSIONS)
