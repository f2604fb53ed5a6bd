"""Which scope tags somebody may give to what they write, and take away from it; pure. The rules are Intune's."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from shieldwall.contract.errors import ShieldwallError
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.grants import DEFAULT_TAG, Access


class ScopeTagRefusedError(ShieldwallError):
    """Scope tags would be given or taken away that are not among those of the caller's role assignments."""

    code = "scopeTagRefused"
    remedy = "Leave tags that are not yours as they are, and keep at least one of your own."


def tags_held(access: Access, action: ResourceAction) -> frozenset[str] | None:
    """Return the tags within which somebody does something; ``None`` is not narrowed by tags."""
    scopes = access.scopes(action)
    if any(scope.tags is None for scope in scopes):
        return None
    return frozenset(tag for scope in scopes for tag in scope.tags or ())


def tags_of_new(access: Access, action: ResourceAction, wanted: Sequence[str] | None) -> tuple[str, ...]:
    """Return the tags of something new: those wanted, else all that its author holds, else the default one.

    Raises:
        ScopeTagRefusedError: The author is narrowed, and none of the tags or not all of them are theirs.
    """
    held = tags_held(access, action)
    if wanted is None or not wanted:
        return (DEFAULT_TAG,) if held is None else tuple(sorted(held))
    require_tags(access, action, (), wanted)
    return tuple(wanted)


def require_tags(access: Access, action: ResourceAction, before: Collection[str], wanted: Collection[str]) -> None:
    """Refuse a change of tags by somebody narrowed who does not hold what changes, or would lose sight of it.

    Raises:
        ScopeTagRefusedError: Names a tag that is not theirs, or that none of theirs is left.
    """
    held = tags_held(access, action)
    if held is None or set(before) == set(wanted):
        return
    foreign = (set(before) ^ set(wanted or (DEFAULT_TAG,))) - held
    if foreign:
        raise ScopeTagRefusedError(f"The scope tag {min(foreign)} is not one of yours.")
    if held.isdisjoint(wanted or (DEFAULT_TAG,)):
        raise ScopeTagRefusedError("None of your scope tags would be left on it.")
