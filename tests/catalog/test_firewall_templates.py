"""The list of firewall templates says what the data says."""

from __future__ import annotations

from shieldwall.catalog.firewall.templates import is_firewall
from shieldwall.catalog.loader import load


def test_the_firewall_templates_are_those_of_the_firewall_family() -> None:
    found = {template.id: template.family for template in load().templates.values()}
    assert found
    for template_id, family in found.items():
        assert is_firewall(template_id) == ("firewall" in family.lower()), template_id
