"""What a change would do, as ``templates/policies/preview.html`` shows it: computed, and kept to what somebody sees.

A page that shows it hands the template what ``shown_effect`` returns under the name ``effect``::

    {% include "policies/preview.html" %}

or ``policies/effect.html`` where the page has a section for it already.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from sqlalchemy import Connection

from shieldwall.policy.classify import ChangeClass
from shieldwall.policy.outcomes import Reason
from shieldwall.server.admin.acting_callers import acting_for
from shieldwall.server.admin.authoring import server_of
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.admin.sight import Sight, sight_of
from shieldwall.server.directory.acting import Acting
from shieldwall.server.manager.effects import ChangeInWords, Effect, LapseInWords, effect_of
from shieldwall.server.manager.preview import Proposal, preview
from shieldwall.server.manager.preview_sight import Eyes, as_seen
from shieldwall.server.portal.handling import PageRequest
from shieldwall.server.portal.language import marked

MOST_SHOWN: Final = 100
"""Changes that one page lists; those that lower protection come first."""

CLASSES: Final[Mapping[ChangeClass, tuple[str, str]]] = {
    ChangeClass.WEAKEN: (marked("Lowers protection"), "bad"),
    ChangeClass.CONNECTIVITY_RISK: (marked("Can cut off the network"), "wait"),
    ChangeClass.STRENGTHEN: (marked("Raises protection"), "good"),
    ChangeClass.NEUTRAL: (marked("Makes no difference to protection"), "calm"),
}
"""What a change does to protection: in words, and the class of style for it."""
REASONS: Final[Mapping[Reason, str]] = {
    Reason.OTHER_PLATFORM: marked("It is for another platform."),
    Reason.AGENT_TOO_OLD: marked("The agent is older than the setting. Update the agent: a newer one knows it."),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownEffect:
    """What a change would do, and whether that is told of a part of the tenant alone."""

    effect: Effect
    is_partial: bool

    @property
    def changes(self) -> tuple[ChangeInWords, ...]:
        """The changes that the page lists."""
        return self.effect.changes[:MOST_SHOWN]

    @property
    def left_out(self) -> int:
        """How many changes the page does not list."""
        return max(0, len(self.effect.changes) - MOST_SHOWN)

    @property
    def needs_thought(self) -> bool:
        """Whether something comes of it that nobody should overlook."""
        return self.effect.needs_thought

    def protection(self, change: ChangeInWords) -> tuple[str, str]:
        """Say what a change does to protection: a marked text, and the class of style for it."""
        return CLASSES[change.change_class]

    def reason(self, lapse: LapseInWords) -> str:
        """Say why a setting cannot apply: a marked text."""
        return REASONS[lapse.reason]


def shown_effect(
    services: AdminServices, connection: Connection, request: PageRequest, proposal: Proposal
) -> ShownEffect:
    """Say what a proposal would do to the devices that whoever asks sees.

    Raises:
        ShieldwallError: As making the change would raise it: what cannot be saved has no preview.
    """
    return effect_for(services, connection, acting_for(services, request), sight_of(request), proposal)


def effect_for(
    services: AdminServices, connection: Connection, acting: Acting, sight: Sight, proposal: Proposal
) -> ShownEffect:
    """Say what a proposal of somebody would do to the devices that they see. Raises: as ``shown_effect``."""
    found = preview(connection, services.catalog, acting, proposal, server=server_of(services))
    is_partial = sees_a_part(sight)
    if is_partial:
        found = as_seen(connection, found, _eyes(sight, connection))
    return ShownEffect(effect=effect_of(services.catalog, found), is_partial=is_partial)


def sees_a_part(sight: Sight) -> bool:
    """Tell whether somebody sees a part of the tenant alone."""
    return bool(sight.devices() or sight.policies())


def _eyes(sight: Sight, connection: Connection) -> Eyes:
    return Eyes(devices=partial(sight.devices_among, connection), policies=partial(sight.policies_among, connection))
