"""On which Windows each attack surface reduction rule exists, and which rules cannot warn.

Source: Microsoft, *Attack surface reduction rules reference* (October 2024), its tables of operating systems; the rules
without warn mode: *Attack surface reduction rules overview*, there said of three rules and not verified here.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from shieldwall.agent.host.windows_machine import BUILD_2012_R2, BUILD_2016, WindowsMachine

_RELEASES: Final = {"1709": 16299, "1803": 17134, "1809": 17763, "1903": 18362}


class RuleSupport(Struct, frozen=True, kw_only=True):
    """``client``: the first release of Windows 10 that has the rule, ``None`` when no client has it.

    ``server``: whether Windows Server 2019 and later have it; ``older_server``: 2016 and 2012 R2, with the unified
    agent. ``warns``: whether the rule can let users go on; one that cannot blocks instead.
    """

    client: str | None = "1709"
    server: bool = True
    older_server: bool = True
    warns: bool = True


_EVERYWHERE: Final = RuleSupport()
RULES: Final[dict[str, RuleSupport]] = {
    "be9ba2d9-53ea-4cdc-84e5-9b1eeee46550": _EVERYWHERE,
    "d4f940ab-401b-4efc-aadc-ad5f3c50688a": _EVERYWHERE,
    "3b576869-a4ec-4529-8536-b80a7769e899": _EVERYWHERE,
    "75668c1f-73b5-4cf0-bb93-3ecf5cb7cc84": _EVERYWHERE,
    "d3e037e1-3eb8-44c8-a917-57927947596d": RuleSupport(older_server=False, warns=False),
    "5beb7efe-fd9a-4556-801d-275e5ffc04cc": _EVERYWHERE,
    "92e97fa1-2edf-4476-bdd6-9dd0b4dddc7b": RuleSupport(server=False, older_server=False),
    "01443614-cd74-433a-b99e-2ecdc07bfc25": RuleSupport(client="1803"),
    "c1db55ab-c21a-4637-bb3f-a12568109d35": RuleSupport(client="1803", warns=False),
    "9e6c4e1f-7d60-472f-ba1a-a39ef669e4b2": RuleSupport(client="1803"),
    "d1e49aac-8f56-4280-b9ba-993a6d77406c": RuleSupport(client="1803"),
    "b2b3f03d-6a65-4f7b-a9c7-1c7ef74a9ba4": _EVERYWHERE,
    "26190899-1602-49e8-8b27-eb1d0a1ce869": _EVERYWHERE,
    "7674ba52-37eb-4a4f-a9a1-f0f9a1619a2c": RuleSupport(client="1809"),
    "e6db77e5-3df2-4cf1-b95a-636979351e5b": RuleSupport(client="1903", older_server=False, warns=False),
    "56a863a9-875e-4185-98a7-b882c64b5ce5": _EVERYWHERE,
    "a8f5898e-1dc8-49a9-9878-85004b8a61e6": RuleSupport(client=None),
    "33ddedf1-c6e0-47cb-833e-de6133960387": _EVERYWHERE,
    "c0033c00-d16d-4114-a5a0-dc9b3a7d2ceb": _EVERYWHERE,
}


def why_not(guid: str, machine: WindowsMachine) -> str:
    """Say why this Windows does not have a rule; empty when it does, or nobody knows."""
    rule = RULES.get(guid)
    if rule is None or not machine.version:
        return ""
    if not machine.is_server:
        return _client(rule, machine)
    if machine.build < BUILD_2012_R2:
        return f"Attack surface reduction needs Windows Server 2012 R2 or later; this is {machine.caption}."
    if machine.build <= BUILD_2016:
        return "" if rule.older_server else "Windows Server 2016 and 2012 R2 do not have this rule."
    return "" if rule.server else "Windows Server does not have this rule."


def _client(rule: RuleSupport, machine: WindowsMachine) -> str:
    if rule.client is None:
        return "The rule is for servers: Windows clients do not have it."
    if machine.build < _RELEASES[rule.client]:
        return f"The rule needs Windows 10 {rule.client} or later; this is {machine.written_version}."
    return ""
