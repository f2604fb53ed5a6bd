"""Policies of the machine tests, as an administrator would import them."""

from __future__ import annotations

from typing import Any, Final

from tests.support import policies
from tests.support.machine import REPOSITORY
from tests.support.policies import choice, items, number, text, texts

from shieldwall.contract.settings import SettingInstance
from shieldwall.server.graph.setting_writing import write_instance

SAMPLES: Final = REPOSITORY / "samples" / "policies"
ENGINE: Final = policies.ENGINE
UPDATES: Final = "linux_mdatp_managed_cloudservice_automaticdefinitionupdateenabled"
ZONE: Final = "linux_shieldwall_firewall_public_"
GLOBAL: Final = "linux_shieldwall_firewall_global_"
RULES: Final = "linux_shieldwall_firewall_rules"
HARDENING: Final = "linux_shieldwall_attacksurfacereductionrules"
SIGNATURE: Final = "Shieldwall.Test"
MARKER: Final = "SHIELDWALL-MACHINE-TEST-MARKER"
"""A harmless text that the machine's virus database knows."""

_FIREWALL: Final = "d004203a-c7c2-43ec-ac22-605f2e0ffbff_1"
_HARDENING: Final = "e6a8cdaa-b2e2-4c5a-9684-bf49cc7e8370_1"


def policy(name: str, template: str, *settings: SettingInstance) -> dict[str, Any]:
    """Return a policy in the shape of an export."""
    return {
        "name": name,
        "platforms": "linux",
        "technologies": "microsoftSense",
        "templateReference": {"templateId": template},
        "settings": [{"settingInstance": write_instance(instance)} for instance in settings],
    }


def antivirus(name: str, level: str, *more: SettingInstance) -> dict[str, Any]:
    """On access or not: ``level`` is the suffix of the enforcement level's option."""
    return policy(name, policies.ANTIVIRUS, choice(policies.LEVEL, level), *more)


def daily_scan(name: str) -> dict[str, Any]:
    """A quick scan every day at three in the morning."""
    scan = ENGINE + "scheduledscan_"
    return policy(name, policies.ANTIVIRUS, number(scan + "timeofday", 180), number(scan + "interval", 24))


def closed_port(name: str, port: int) -> dict[str, Any]:
    """Nobody gets in at a port."""
    member = f"{RULES}_item_"
    rule = (
        text(member + "name", f"Close {port}"),
        choice(member + "direction", "_in"),
        choice(member + "action", "_block"),
        choice(member + "protocol", "_tcp"),
        texts(member + "localports", str(port)),
    )
    return policy(name, policies.FIREWALL_RULES, items(RULES, rule))


def lock_out(name: str, port: int) -> dict[str, Any]:
    """A rule that looks reasonable: nothing goes out to a port. That the way to the server leads there nobody sees."""
    member = f"{RULES}_item_"
    rule = (
        text(member + "name", f"Nothing to {port}"),
        choice(member + "direction", "_out"),
        choice(member + "action", "_block"),
        choice(member + "protocol", "_tcp"),
        texts(member + "remoteports", str(port)),
    )
    return policy(name, policies.FIREWALL_RULES, items(RULES, rule))


def zones(name: str, *more: SettingInstance) -> dict[str, Any]:
    """A firewall that lets nobody in."""
    return policy(
        name,
        _FIREWALL,
        choice(ZONE + "enablefirewall", "_true", choice(ZONE + "defaultinboundaction", "_block")),
        *more,
    )


def quick_confirmation(seconds: int) -> SettingInstance:
    """How long a change that may cut the device off waits to be confirmed."""
    return number(GLOBAL + "confirmseconds", seconds)


def hardening(name: str, **rules: str) -> dict[str, Any]:
    """Rules of attack surface reduction, each with its mode."""
    chosen = tuple(choice(f"{HARDENING}_{rule}", f"_{mode}") for rule, mode in rules.items())
    return policy(name, _HARDENING, items(HARDENING, chosen))
