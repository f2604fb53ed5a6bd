"""Requests of the Graph front door to be spoiled: routes that read a body, bad JSON, and bodies that are valid."""

from __future__ import annotations

from typing import Any

from tests.support.graph_bodies import (
    CONFLICT_RULES,
    FILTERS,
    GROUPS,
    MANAGED_DEVICES,
    PACKAGES,
    POLICIES,
    TO_ALL_DEVICES,
    a_filter,
    a_group,
    a_policy,
    sample,
)
from tests.support.samples import counted_id

SOMETHING = counted_id("c", 1)
REUSABLE = "/beta/deviceManagement/reusablePolicySettings"

WRITES = [
    ("POST", POLICIES),
    ("POST", f"{POLICIES}/validate"),
    ("PATCH", f"{POLICIES}/{SOMETHING}"),
    ("PUT", f"{POLICIES}/{SOMETHING}"),
    ("POST", f"{POLICIES}/{SOMETHING}/assign"),
    ("POST", f"{POLICIES}/{SOMETHING}/createCopy"),
    ("POST", f"{POLICIES}/{SOMETHING}/reorder"),
    ("POST", f"{POLICIES}/{SOMETHING}/rollback"),
    ("POST", f"{POLICIES}/preview"),
    ("POST", f"{POLICIES}/changeSet"),
    ("POST", f"{POLICIES}/changeSet/preview"),
    ("POST", FILTERS),
    ("PATCH", f"{FILTERS}/{SOMETHING}"),
    ("POST", f"{FILTERS}/{SOMETHING}/preview"),
    ("POST", REUSABLE),
    ("PATCH", f"{REUSABLE}/{SOMETHING}"),
    ("PUT", CONFLICT_RULES),
    ("POST", f"{CONFLICT_RULES}/preview"),
    ("POST", f"{GROUPS}/{SOMETHING}/preview"),
    ("POST", GROUPS),
    ("PATCH", f"{GROUPS}/{SOMETHING}"),
    ("POST", f"{GROUPS}/{SOMETHING}/members/$ref"),
    ("POST", PACKAGES),
    ("POST", f"{MANAGED_DEVICES}/{SOMETHING}/changeTags"),
]
BAD_JSON = {
    "lone surrogate": rb'{"name":"\ud800"}',
    "NaN": b'{"name":NaN}',
    "Infinity": b'{"name":-Infinity}',
    "1e999": b'{"name":1e999}',
    "NUL in a string": rb'{"name":"a\u0000b"}',
    "a member twice": b'{"name":"a","name":"b"}',
    "an unknown member": b'{"surprise":1}',
    "a number of 5,000 digits": b'{"name":' + b"9" * 5000 + b"}",
    "depth": b'{"settings":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "invalid UTF-8": b'{"name":"\xff"}',
    "UTF-16": '{"name":"x"}'.encode("utf-16"),
    "a byte order mark": b'\xef\xbb\xbf{"name":"x"}',
    "nothing": b"",
    "a list": b"[]",
    "a text": b'"name"',
    "two documents": b"{}{}",
}

A_CHANGE_SET = {
    "reason": "x",
    "expectedDeletes": 1,
    "changes": [
        {"kind": "create", "key": "new", "policy": a_policy(), "assignments": [TO_ALL_DEVICES]},
        {"kind": "update", "key": "new", "policy": {"name": "x"}, "assignments": []},
        {"kind": "delete", "id": SOMETHING, "revision": 1},
    ],
}
VALID: list[tuple[str, str, dict[str, Any]]] = [
    ("POST", POLICIES, a_policy()),
    ("POST", POLICIES, sample("linux-exclusions")),
    ("POST", POLICIES, sample("linux-firewall")),
    ("POST", GROUPS, a_group("Dynamic", '(device.displayName -startsWith "web")')),
    (
        "POST",
        PACKAGES,
        {"displayName": "x", "validDays": 3, "maxUses": 5, "allowedPlatforms": ["linux"], "tags": ["a"]},
    ),
    ("POST", f"{MANAGED_DEVICES}/{SOMETHING}/changeTags", {"add": ["x"], "remove": ["y"]}),
    ("POST", f"{GROUPS}/{SOMETHING}/members/$ref", {"@odata.id": f"https://x/directoryObjects/{SOMETHING}"}),
    ("POST", f"{POLICIES}/{SOMETHING}/assign", {"assignments": [{"target": {"@odata.type": "x", "groupId": "y"}}]}),
    ("POST", f"{POLICIES}/{SOMETHING}/createCopy", {"displayName": "x", "description": "y"}),
    ("POST", f"{POLICIES}/{SOMETHING}/reorder", {"priority": 3}),
    ("POST", f"{POLICIES}/{SOMETHING}/rollback", {"revision": 3, "reason": "x"}),
    ("POST", f"{POLICIES}/{SOMETHING}/preview", a_policy(assignments=[TO_ALL_DEVICES])),
    ("POST", f"{POLICIES}/import", sample("windows-firewall-rules")),
    ("POST", f"{POLICIES}/import/check", sample("windows-edr")),
    ("POST", f"{POLICIES}/preview", a_policy(assignments=[TO_ALL_DEVICES])),
    ("POST", f"{POLICIES}/changeSet", A_CHANGE_SET),
    ("POST", f"{POLICIES}/changeSet/preview", A_CHANGE_SET),
    ("POST", FILTERS, a_filter(description="x", roleScopeTags=["0"])),
    ("POST", f"{GROUPS}/{SOMETHING}/preview", {"addMembers": [SOMETHING], "removeMembers": [SOMETHING]}),
    ("PUT", CONFLICT_RULES, {"antivirus": "priority", "firewall": "nothing"}),
    ("POST", f"{CONFLICT_RULES}/preview", {"antivirus": "priority", "firewall": "nothing"}),
    (
        "POST",
        REUSABLE,
        {
            "displayName": "x",
            "settingInstance": {
                "@odata.type": "#microsoft.graph.deviceManagementConfigurationGroupSettingInstance",
                "settingDefinitionId": "linux_shieldwall_addressgroup",
                "groupSettingValue": {"children": []},
            },
        },
    ),
]
