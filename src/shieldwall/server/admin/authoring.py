"""What changes policies, put together from the parts of a server: the API and the admin center save by the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from shieldwall.catalog.validate import ServerEndpoints
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.directory.acting import Moment
from shieldwall.server.inventory.certifying import MOST_RUNS, changed_too_often
from shieldwall.server.manager.change_sets import ChangeSets
from shieldwall.server.manager.policies import Policies
from shieldwall.server.manager.reusable_settings import ReusableSettings
from shieldwall.server.manager.signing import AtHand, RepeatedIds, SignaturesWantedError

P = ParamSpec("P")
T = TypeVar("T")


def server_of(services: AdminServices) -> ServerEndpoints:
    """Say how devices reach this server, so that no firewall rule cuts them off from it."""
    return ServerEndpoints.of((services.settings.gateway_url, *services.settings.public_urls))


def authoring(services: AdminServices) -> Policies:
    """Return what saves policies; what publishes one runs in ``signed_between``."""
    return Policies(catalog=services.catalog, signatures=services.signatures, server=server_of(services))


def changing(services: AdminServices) -> ChangeSets:
    """Return what applies change sets, in ``signed_between``."""
    return ChangeSets(catalog=services.catalog, signatures=services.signatures, server=server_of(services))


def reusing(services: AdminServices) -> ReusableSettings:
    """Return what saves reusable settings; what publishes policies with them runs in ``signed_between``."""
    return ReusableSettings(catalog=services.catalog, signatures=services.signatures, server=server_of(services))


def signed_between(
    doing: Callable[Concatenate[AdminServices, P], T],
) -> Callable[Concatenate[AdminServices, P], T]:
    """Let what publishes policies run again once the signer was asked, which happens with no transaction open.

    ``doing`` opens its transaction itself, with the services that it is handed and no others, and does nothing beside
    it that must not happen twice. Each run sees the same moment and draws the same ids.

    What is returned raises what ``doing`` raises; SignerError, where no signature came; and StorageUnavailableError,
    where rows changed in between every time.
    """

    @wraps(doing)
    def repeated(services: AdminServices, *arguments: P.args, **named: P.kwargs) -> T:
        at_hand, ids = AtHand(), RepeatedIds(services.new_id)
        at_once = replace(services, clock=Moment(services.clock.now()), signatures=at_hand)
        for _ in range(MOST_RUNS):
            try:
                return doing(replace(at_once, new_id=ids.again()), *arguments, **named)
            except SignaturesWantedError as error:
                wanted = error.documents
            at_hand.ask(services.signer, wanted)
        raise changed_too_often()

    return repeated  # type: ignore[return-value]  # it takes ``services`` by its name as well
