"""The first run: what a new tenant does one after the other, from a passkey to a policy that is in effect.

The page shows how far it has come and what is next, and follows by itself while a device is on its way. It can be left
at any step and taken up again, for it keeps nothing of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from litestar import Response, get, post

from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import Principal, needs
from shieldwall.server.admin.acting_callers import acting_for
from shieldwall.server.admin.package_handout import hand_out_package
from shieldwall.server.directory import people
from shieldwall.server.inventory.packages import PackageDraft, Platform
from shieldwall.server.manager import first_steps
from shieldwall.server.manager.enforcement_scope import get_scope
from shieldwall.server.manager.first_steps import FirstSteps
from shieldwall.server.portal.first_run.beginning import WELCOME
from shieldwall.server.portal.forms import choice
from shieldwall.server.portal.handling import SIGNED_IN, Form, PageRequest, Renderer, Services
from shieldwall.server.portal.language import marked
from shieldwall.server.portal.sessions import check_form
from shieldwall.server.portal.settings.handouts import handed_out
from shieldwall.server.portal.settings.package_forms import PLATFORMS
from shieldwall.server.storage.identity import identity_providers, passkeys

_LIFETIME: Final = timedelta(days=7)
_USES: Final = 100
_PLATFORM_WORDS: Final[tuple[Platform, ...]] = tuple(platform for platform, _ in PLATFORMS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of the first run; ``name`` is what the page says about it."""

    name: str
    title: str
    is_done: bool


@get(WELCOME, opt=SIGNED_IN | needs(ResourceAction.READ_ONBOARDING), sync_to_thread=True)
def show_welcome(services: Services, rendering: Renderer, request: PageRequest) -> Response[str]:
    """Show how far the tenant has come, and what is next."""
    caller: Principal = request.scope["user"]
    with services.database.read() as connection:
        found = first_steps.of_tenant(connection, services.tenant.id, services.clock.now())
        passkey_count = len(passkeys.of_person(connection, caller.id))
        is_federated = bool(identity_providers.identities_of_person(connection, caller.id))
        is_alone = people.count_administrators(connection, services.tenant.id) < 2
        scope = get_scope(connection, services.tenant.id)
    steps = _steps(found, has_way_in=is_federated or passkey_count > 0)
    return rendering.page(
        request,
        "first_run/welcome.html",
        section="/packages",
        live=("devices", "packages", "policies"),
        steps=steps,
        current=next((step.name for step in steps if not step.is_done), ""),
        done=sum(step.is_done for step in steps),
        found=found,
        is_alone=is_alone,
        has_second_passkey=is_federated or passkey_count > 1,
        scope=scope,
    )


@get(f"{WELCOME}/package", opt=SIGNED_IN | needs(ResourceAction.UPDATE_ONBOARDING), sync_to_thread=True)
def ask_for_platform(rendering: Renderer, request: PageRequest) -> Response[str]:
    """Ask for what system the first device has."""
    return rendering.page(
        request,
        "first_run/first_package.html",
        section="/packages",
        platforms=PLATFORMS,
        days=_LIFETIME.days,
        uses=_USES,
    )


@post(
    f"{WELCOME}/package", opt=SIGNED_IN | needs(ResourceAction.UPDATE_ONBOARDING), sync_to_thread=True, status_code=200
)
def create_first_package(services: Services, rendering: Renderer, request: PageRequest, form: Form) -> Response[str]:
    """Make a package for one system, and hand it out with the commands that use it."""
    check_form(services, request, form)
    platform = choice(form, "platform", "System", _PLATFORM_WORDS)
    draft = PackageDraft(
        display_name="First devices", lifetime=_LIFETIME, max_uses=_USES, platforms=(platform,), tags=()
    )
    made = hand_out_package(services, acting_for(services, request), draft, (platform,))
    return rendering.page(
        request,
        "settings/handout.html",
        section="/packages",
        title=marked("Onboarding package"),
        package=made.record,
        **handed_out(made),
        back=WELCOME,
        back_words=marked("I ran it: wait for the device"),
    )


HANDLERS: Final[tuple[Any, ...]] = (show_welcome, ask_for_platform, create_first_package)


def _steps(found: FirstSteps, *, has_way_in: bool) -> tuple[Step, ...]:
    return (
        Step(name="passkey", title=marked("Make your passkey"), is_done=has_way_in),
        Step(
            name="package",
            title=marked("Make an onboarding package"),
            is_done=found.has_package or found.has_device,
        ),
        Step(name="device", title=marked("Onboard the first device"), is_done=found.has_device),
        Step(name="managed", title=marked("See it managed"), is_done=found.has_managed),
        Step(name="policy", title=marked("Assign a policy"), is_done=found.has_assignments),
        Step(name="effect", title=marked("Watch it take effect"), is_done=found.is_in_effect),
    )
