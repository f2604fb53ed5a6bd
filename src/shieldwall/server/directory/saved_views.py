"""Keeping views of lists: each is its person's own, so nobody has to be asked and the audit trail is not told."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection

from shieldwall.contract.errors import ShieldwallError
from shieldwall.server.directory.acting import Acting
from shieldwall.server.directory.names import is_name
from shieldwall.server.storage.errors import NotFoundError
from shieldwall.server.storage.portal import saved_views
from shieldwall.server.storage.portal.saved_views import SavedView

MOST: Final = 50
"""Views of one list that one person keeps."""
LONGEST_NAME: Final = 64
LONGEST_QUERY: Final = 4_096


class InvalidViewError(ShieldwallError):
    """A view cannot be kept like that."""

    code = "invalidView"
    remedy = "Correct what is named and save the view again."


def save(connection: Connection, acting: Acting, person_id: str, page: str, *, name: str, query: str) -> SavedView:
    """Keep a view of a page for a person; one that they have under this name is replaced.

    Raises:
        InvalidViewError: The name or the view is too long, or they keep as many as anybody may.
    """
    name = name.strip()
    if not is_name(name, LONGEST_NAME):
        raise InvalidViewError(f"The name of a view has 1 to {LONGEST_NAME} plain characters.")
    if len(query) > LONGEST_QUERY:
        raise InvalidViewError("The view asks for too much to be kept.", remedy="Take some filters away and try again.")
    kept = saved_views.of_person(connection, acting.tenant_id, person_id, page)
    if len(kept) >= MOST and all(view.name != name for view in kept):
        raise InvalidViewError(f"You keep {MOST} views of this list already.", remedy="Remove one of them first.")
    view = SavedView(
        id=acting.new_id(),
        tenant_id=acting.tenant_id,
        person_id=person_id,
        page=page,
        name=name,
        query=query,
        created_at=acting.clock.now(),
    )
    saved_views.put(connection, view)
    return view


def remove(connection: Connection, acting: Acting, person_id: str, view_id: str) -> None:
    """Forget one of a person's own views. Raises: NotFoundError."""
    if not saved_views.remove(connection, acting.tenant_id, person_id, view_id):
        raise NotFoundError("There is no such view of yours.")
