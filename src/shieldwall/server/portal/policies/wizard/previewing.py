"""What saving would do: at once where a fleet can be looked at while somebody waits, else as work that can be left."""

from __future__ import annotations

from datetime import datetime

import msgspec

from shieldwall.server.admin.sight import Sight, caller_of, sight_of
from shieldwall.server.directory.acting import Acting
from shieldwall.server.manager import unfinished as keeping
from shieldwall.server.manager.change_plans import ChangeSet
from shieldwall.server.manager.preview import Proposal
from shieldwall.server.manager.unfinished import Previewed, Unfinished
from shieldwall.server.portal.handling import PageRequest, Services
from shieldwall.server.portal.language import marked
from shieldwall.server.portal.policies.preview_views import ShownEffect, effect_for, sees_a_part
from shieldwall.server.portal.policies.wizard.steps import Step, may_assign, path_to
from shieldwall.server.portal.sign_in.browsers import acting_at
from shieldwall.server.portal.work.progress import Page, Progress
from shieldwall.server.portal.work.works import Works


def effect_of_saving(services: Services, request: PageRequest, unfinished: Unfinished) -> ShownEffect:
    """Say what saving would do to what this person sees. Raises: ShieldwallError, as saving would."""
    return _worked_out(
        services, acting_at(services, request), sight_of(request), unfinished, with_assignments=may_assign(request)
    )


def known_effect(
    services: Services, request: PageRequest, unfinished: Unfinished
) -> tuple[datetime, ShownEffect] | None:
    """Return what was worked out for just what is entered, and when; ``None`` where it has to be worked out first."""
    known = unfinished.content.effect(services.clock.now())
    if known is None:
        return None
    sight = sight_of(request)
    with services.database.read() as connection:
        devices, policies = known.effect.named()
        seen = sight.devices_among(connection, devices), sight.policies_among(connection, policies)
    is_partial = known.is_partial or sees_a_part(sight)
    return known.at, ShownEffect(effect=known.effect.seen_by(*seen), is_partial=is_partial)


def start_working_out(services: Services, request: PageRequest, works: Works, unfinished: Unfinished) -> str:
    """Begin to work out what saving would do; return the path of the work. Raises: TooMuchWorkError."""
    acting, sight, assigns = acting_at(services, request), sight_of(request), may_assign(request)

    def run(_: Progress) -> Page:
        found = _worked_out(services, acting, sight, unfinished, with_assignments=assigns)
        with services.database.write() as connection:
            now = keeping.get(connection, unfinished.tenant_id, unfinished.person_id, unfinished.id)
            previewed = Previewed(
                of=unfinished.content.digest,
                at=services.clock.now(),
                effect=found.effect,
                is_partial=found.is_partial,
            )
            keeping.keep(connection, acting, now, msgspec.structs.replace(now.content, previewed=previewed))
        return Page(path_to(unfinished, Step.REVIEW, preview="1"))

    work = works.start(
        caller_of(request),
        marked("What saving %(policy)s would do"),
        run,
        origin=path_to(unfinished, Step.REVIEW),
        values={"policy": unfinished.draft.name},
    )
    return f"/work/{work.id}"


def _worked_out(
    services: Services, acting: Acting, sight: Sight, unfinished: Unfinished, *, with_assignments: bool
) -> ShownEffect:
    change = unfinished.change(with_assignments=with_assignments)
    with services.database.read() as connection:
        keeping.require_not_overtaken(connection, unfinished)
        return effect_for(services, connection, acting, sight, Proposal(change_set=ChangeSet(changes=(change,))))
