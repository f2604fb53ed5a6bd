"""Grants: which actions, on what. A person holds one for each role assignment; they add up, and never take away.

A grant may be narrowed twice, as in Intune: by *scope tags*, which say what its holder sees, and by *scope groups*,
which say on which devices its holder may act. ``None`` is not narrowed.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from shieldwall.contract.ids import GroupId
from shieldwall.server.access.actions import EVERYTHING, ResourceAction

DEFAULT_TAG: Final = "0"
"""The scope tag of whatever has no other."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Where a grant holds: on objects with one of ``tags``, and for devices only on members of one of ``groups``."""

    tags: frozenset[str] | None = None
    groups: frozenset[GroupId] | None = None

    @property
    def is_whole(self) -> bool:
        """Whether it is narrowed by nothing."""
        return self.tags is None and self.groups is None

    def shows(self, tags: Collection[str]) -> bool:
        """Tell whether an object with these tags is seen; one without any has the default tag."""
        return self.tags is None or not self.tags.isdisjoint(tags or (DEFAULT_TAG,))

    def reaches(self, groups: Collection[GroupId]) -> bool:
        """Tell whether a device that is a member of these groups may be acted on."""
        return self.groups is None or not self.groups.isdisjoint(groups)


WHOLE: Final = Scope()


@dataclass(frozen=True, slots=True)
class Grant:
    """Leave to do some actions within a scope."""

    actions: frozenset[ResourceAction]
    scope: Scope = WHOLE


@dataclass(frozen=True, slots=True)
class Access:
    """All that somebody is granted."""

    grants: tuple[Grant, ...] = ()

    def may(self, action: ResourceAction) -> bool:
        """Tell whether the action is granted anywhere."""
        return any(action in grant.actions for grant in self.grants)

    def may_everywhere(self, action: ResourceAction) -> bool:
        """Tell whether the action is granted in the whole tenant."""
        return any(action in grant.actions and grant.scope.is_whole for grant in self.grants)

    def scopes(self, action: ResourceAction) -> tuple[Scope, ...]:
        """Say where the action is granted: nowhere is empty, and the whole tenant swallows every narrower scope."""
        found = tuple(dict.fromkeys(grant.scope for grant in self.grants if action in grant.actions))
        return (WHOLE,) if any(scope.is_whole for scope in found) else found

    def sees(self, action: ResourceAction, tags: Collection[str]) -> bool:
        """Tell whether an object with these scope tags is there for somebody who does this action."""
        return any(scope.shows(tags) for scope in self.scopes(action))

    def may_act_on(self, action: ResourceAction, tags: Collection[str], groups: Collection[GroupId]) -> bool:
        """Tell whether the action is granted on a device with these tags that is a member of these groups."""
        return any(scope.shows(tags) and scope.reaches(groups) for scope in self.scopes(action))


FULL: Final = Access((Grant(EVERYTHING),))
"""Everything everywhere. Applications have it too: what narrows them is their permissions."""
NONE: Final = Access()
