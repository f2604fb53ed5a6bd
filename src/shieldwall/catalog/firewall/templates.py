"""Which templates make firewall policies: known without the catalog's data, for those who only aim policies.

A test holds the list to the data.
"""

from __future__ import annotations

from typing import Final

from shieldwall.contract.ids import TemplateId

_BASE_IDS: Final = frozenset(
    {
        "6078910e-d808-4a9f-a51d-1b8a7bacb7c0",  # Windows Firewall
        "19c8aa67-f286-4861-9aa0-f23541d31680",  # Windows Firewall Rules
        "d004203a-c7c2-43ec-ac22-605f2e0ffbff",  # Linux Firewall
        "c0f6a2d4-7b1e-4f0c-9a53-2f1b8e7d6c90",  # Linux Firewall Rules
    }
)


def is_firewall(template_id: TemplateId) -> bool:
    """Say whether policies of this template, of whatever version, set the firewall."""
    return template_id.rpartition("_")[0] in _BASE_IDS
