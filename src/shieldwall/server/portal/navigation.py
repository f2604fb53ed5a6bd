"""The way through the admin center: every entry of the menu, in the words that people know from other consoles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from shieldwall.server.portal.language import marked


@dataclass(frozen=True, slots=True)
class Entry:
    """One page that the menu leads to; shown to those whom the page lets in."""

    path: str
    label: str


@dataclass(frozen=True, slots=True)
class Chapter:
    """Entries that belong together; the first chapter has no title."""

    title: str
    entries: tuple[Entry, ...]


MENU: Final = (
    Chapter(
        "",
        (
            Entry("/", marked("Overview")),
            Entry("/devices", marked("Devices")),
            Entry("/policies", marked("Endpoint security")),
            Entry("/groups", marked("Groups")),
            Entry("/reports", marked("Reports")),
            Entry("/alerts", marked("Alerts")),
        ),
    ),
    Chapter(
        marked("Settings"),
        (
            Entry("/packages", marked("Onboarding")),
            Entry("/scope", marked("Enforcement scope")),
            Entry("/protection", marked("Tamper protection")),
            Entry("/people", marked("People")),
            Entry("/roles", marked("Roles")),
            Entry("/apps", marked("Apps")),
            Entry("/connectors", marked("Connectors")),
            Entry("/retention", marked("Retention")),
            Entry("/audit", marked("Audit log")),
            Entry("/tenants", marked("Tenants")),
        ),
    ),
    Chapter(
        marked("You"),
        (
            Entry("/account", marked("Your account")),
            Entry("/work", marked("Your work")),
        ),
    ),
)
