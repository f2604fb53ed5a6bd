"""Who begins with the first run."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection

from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.directory.access_of_people import access_of
from shieldwall.server.storage.identity_records import Person
from shieldwall.server.storage.reports import first_steps

WELCOME: Final = "/welcome"


def begins(connection: Connection, person: Person) -> bool:
    """Say whether somebody who signs in is led to the first run: no device ever came, and they may let devices in."""
    if first_steps.has_devices(connection, person.tenant_id):
        return False
    return access_of(connection, person).may_everywhere(ResourceAction.UPDATE_ONBOARDING)
