"""What a repository function says when it cannot do what it was asked."""

from __future__ import annotations

from shieldwall.contract.errors import ShieldwallError


class NotFoundError(ShieldwallError):
    """There is no such record."""

    code = "notFound"
    remedy = "List what is there and use an id from the list; it may have been deleted meanwhile."


class AlreadyExistsError(ShieldwallError):
    """A record with the same unique name, key or id is there already."""

    code = "alreadyExists"
    remedy = "Use the record that is there, or choose another name."


class StillReferencedError(ShieldwallError):
    """Another record needs this one, so it cannot be removed."""

    code = "stillReferenced"
    remedy = "Remove what refers to it first."
